import datetime as dt

import duckdb
import pyarrow as pa
import pytest

from rapport.errors import ConfigError
from rapport.home import user_key
from rapport.lake import Lake
from rapport.lake.views import tables_of, to_json_rows
from rapport.testing import a_decision, a_turn, some_feedback

NOON = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def a_reward(decision, *, value, reward_version=1, as_of=NOON):
    event = ("tenant", "ts", "ts_source", "user_id", "agent_id", "purposes", "groups", "source")
    return {
        **{name: decision[name] for name in event},
        "decision_id": decision["decision_id"],
        "reward_version": reward_version,
        "value": value,
        "channels": {"rating": value},
        "as_of": as_of,
    }


def asked(lake, query, **options):
    return to_json_rows(lake.sql(query, **options))


def test_the_view_reward_keeps_the_latest_of_each_decision(tmp_path):
    lake = Lake(tmp_path)
    first, second = a_decision(episode_id="one"), a_decision(episode_id="two")
    later = NOON + dt.timedelta(hours=1)
    rewards = [
        a_reward(first, value=0.9, reward_version=1, as_of=later),
        a_reward(first, value=0.1, reward_version=2),
        a_reward(first, value=0.2, reward_version=2, as_of=later),
        a_reward(second, value=-0.5),
    ]
    lake.append("decisions", [first, second], writer="w")
    lake.append("rewards", rewards[:2], writer="w")
    lake.append("rewards", rewards[2:], writer="w")
    assert asked(lake, "select value from reward order by value") == [
        {"value": -0.5},
        {"value": 0.2},
    ]


def test_the_readme_question_answers_for_every_persona(tmp_path):
    lake = Lake(tmp_path)
    question = (
        "select persona_id, count(*), avg(value) from decisions "
        "join reward using (decision_id) group by 1 order by 1"
    )
    assert asked(lake, question) == []
    decisions = [a_decision(episode_id=f"e{n}", persona_id=f"wry-0{1 + n % 2}") for n in range(4)]
    lake.append("decisions", decisions, writer="w")
    lake.append("rewards", [a_reward(d, value=n / 4) for n, d in enumerate(decisions)], writer="w")
    assert asked(lake, question) == [
        {"persona_id": "wry-01", "count_star()": 2, 'avg("value")': 0.25},
        {"persona_id": "wry-02", "count_star()": 2, 'avg("value")': 0.5},
    ]


def test_decision_outcomes_join_the_taken_arm_with_its_reward(tmp_path):
    lake = Lake(tmp_path)
    judged = a_decision(episode_id="one", action_index=1, probabilities=[0.25, 0.75])
    silent = a_decision(episode_id="two")
    lake.append("decisions", [judged, silent], writer="w")
    lake.append("rewards", [a_reward(judged, value=0.5)], writer="w")
    found = asked(
        lake,
        "select episode_id, arm, propensity, reward, channels from decision_outcomes order by 1",
    )
    assert found == [
        {
            "episode_id": "one", "arm": "reflection", "propensity": 0.75, "reward": 0.5,
            "channels": {"rating": 0.5},
        },
        {
            "episode_id": "two", "arm": "question", "propensity": 0.5, "reward": None,
            "channels": None,
        },
    ]  # fmt: skip
    replies = asked(lake, "select reply from decision_outcomes")
    assert replies == [{"reply": "What has been weighing on you the most?"}] * 2


def test_conversations_are_rows_of_their_own_with_their_surveys(tmp_path):
    lake = Lake(tmp_path)
    turns = [a_turn(conversation_id="long", turn_index=i) for i in range(3)]
    click = a_turn(conversation_id="long", turn_index=3, kind="click", text=None, role="user")
    short = a_turn(conversation_id="short", turn_index=0, agent_id="customer_support")
    lake.append("turns", [*turns, click, short], writer="w")
    survey = {"decision_id": None, "episode_id": "long"}
    lake.append(
        "feedback",
        [
            some_feedback(**survey, metric_name="empathy", value=3.0, ts=NOON),
            some_feedback(**survey, metric_name="empathy", value=5.0, ts=NOON + dt.timedelta(1)),
            some_feedback(**survey, metric_name="relevance", value=4.0),
            some_feedback(episode_id="short", metric_name="rating", value=1.0),
        ],
        writer="w",
    )
    found = asked(lake, "select * from conversations order by conversation_id")
    assert found[0] == {
        "tenant": "default",
        "conversation_id": "long",
        "user_id": turns[0]["user_id"],
        "agent_id": "emotional_support",
        "journey_id": None,
        "source": "simulation",
        "turns": 3,
        "user_turns": 2,
        "events": 1,
        "first_ts": "2026-01-01T00:00:00+00:00",
        "last_ts": "2026-01-01T00:03:00+00:00",
        "surveys": {"empathy": 5.0, "relevance": 4.0},
    }
    assert (found[1]["agent_id"], found[1]["surveys"]) == ("customer_support", None)


def test_user_key_gives_the_keyed_hash_where_the_secret_is_known(tmp_path):
    lake, secret = Lake(tmp_path), b"s" * 32
    alice = user_key(secret, "default", "alice")
    lake.append("turns", [a_turn(user_id=alice), a_turn(turn_index=2)], writer="w")
    query = "select count(*) as n from turns where user_id = user_key('alice')"
    assert asked(lake, query, secret=secret) == [{"n": 1}]
    other = asked(lake, "select user_key('acme', 'alice') as key", secret=secret)
    assert other == [{"key": user_key(secret, "acme", "alice")}]
    with pytest.raises(ConfigError, match="user_key"):
        lake.sql(query)


@pytest.mark.parametrize(
    "query",
    [
        "insert into turns select * from turns",
        "update turns set text = ''",
        "delete from turns",
        "drop view turns",
        "create table copy as select * from turns",
        "copy turns to 'here.csv'",
        "copy (select 1) to 'here.parquet'",
        "attach 'here.db'",
        "install httpfs",
        "load httpfs",
        "set threads = 1",
        "pragma database_list",
        "export database 'here'",
        "select 1; drop view turns",
        "with gone as materialized (delete from _turns returning *) select * from gone",
        "",
    ],
)
def test_anything_but_one_question_is_refused_as_wrong_use(tmp_path, monkeypatch, query):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        Lake(tmp_path / "lake").sql(query)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "query",
    [
        "select * from read_text('{file}')",
        "select * from read_csv('{file}')",
        "select * from '{file}'",
        "select * from glob('/*')",
        "from query('select 1')",
        "from (select 1) where exists (from read_blob('{file}'))",
        "select (select content from read_text('{file}'))",
        "select * from secret_frame",
    ],
)
def test_no_file_or_variable_outside_the_lake_can_be_read(tmp_path, query):
    secret_frame = pa.table({"one": [1]})
    file = tmp_path / "private.csv"
    file.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        Lake(tmp_path / "lake").sql(query.format(file=file))
    assert caught.value.exit_code == 2
    assert secret_frame.num_rows == 1


def test_the_files_of_a_table_cannot_be_named_to_get_around_its_purposes(tmp_path):
    lake = Lake(tmp_path)
    lake.append("turns", [a_turn(purposes=["serve"])], writer="w")
    (file,) = (tmp_path / "turns").glob("*.parquet")
    for source in (f"read_parquet('{file}')", f"'{file}'", f"parquet_scan('{file}')"):
        with pytest.raises(ConfigError):
            lake.sql(f"select * from {source}")


def test_a_raw_connection_is_locked_to_the_lake_too(tmp_path):
    lake = Lake(tmp_path / "lake")
    lake.append("turns", [a_turn()], writer="w")
    connection = lake.connect()
    for statement in (
        f"copy turns to '{tmp_path / 'out.csv'}'",
        f"attach '{tmp_path / 'out.db'}'",
        "set enable_external_access = true",
        "select * from read_text('/etc/hostname')",
        "drop table turns",
    ):
        with pytest.raises(duckdb.Error):
            connection.execute(statement)
    assert [path.name for path in tmp_path.iterdir()] == ["lake"]
    connection.close()


@pytest.mark.parametrize(
    "query",
    [
        "describe turns",
        "show tables",
        "summarize metrics",
        "from turns select count(*)",
        "with t as (select 1 as one) select * from t",
        "values (1), (2)",
        "select * from range(3), unnest([1, 2])",
        "select date_trunc('day', ts) from turns",
    ],
)
def test_questions_in_every_form_are_answered(tmp_path, query):
    assert Lake(tmp_path).sql(query).num_columns


def test_parameters_are_bound_not_pasted(tmp_path):
    lake = Lake(tmp_path)
    lake.append("turns", [a_turn(text="it's")], writer="w")
    assert asked(lake, "select text from turns where text = ?", params=["it's"]) == [
        {"text": "it's"}
    ]
    assert asked(lake, "select $n::int as n", params={"n": 4}) == [{"n": 4}]


def test_a_wrong_question_names_what_is_wrong_and_quotes_no_row(tmp_path):
    lake = Lake(tmp_path)
    lake.append("turns", [a_turn(text="my private trouble")], writer="w")
    with pytest.raises(ConfigError, match="nowhere"):
        lake.sql("select * from nowhere")
    with pytest.raises(ConfigError, match="syntax error"):
        lake.sql("select from where")
    with pytest.raises(ConfigError) as caught:
        lake.sql("select cast(text as int) from turns")
    assert "private" not in str(caught.value)


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("select count(*) from TURNS", {"turns"}),
        ("select * from reward join decisions using (decision_id)", {"rewards", "decisions"}),
        ("select turns from conversations", {"turns", "feedback"}),
        ("from decision_outcomes", {"decisions", "rewards"}),
        ("select 1", set()),
    ],
)
def test_the_tables_a_question_can_need_are_those_it_mentions(query, tables):
    assert tables_of(query) == tables

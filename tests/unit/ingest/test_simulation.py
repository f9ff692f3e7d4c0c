import datetime as dt

import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.errors import ConfigError
from rapport.governance.tenants import TenantPolicy
from rapport.home import user_key
from rapport.schema import CRISIS_TEXT
from rapport.simulation import simulate, write

TABLES = ("turns", "decisions", "feedback", "users")


@pytest.fixture(scope="module")
def log():
    return simulate(12, 3, seed=5)


@pytest.fixture
def folder(log, tmp_path):
    write(log, tmp_path / "log")
    return tmp_path / "log"


@pytest.fixture
def change(folder):
    """Rewrite one table of the log through a function over its row dictionaries."""

    def change(table, edit):
        path = folder / f"{table}.parquet"
        frame = pl.DataFrame(pq.read_table(path))
        rows = frame.to_dicts()
        edit(rows)
        pl.DataFrame(rows, schema=frame.schema).write_parquet(path)
        return folder

    return change


def test_a_log_goes_in_whole_and_only_once(bring, folder, log, lake):
    counts = bring("simulation", folder)
    assert {name: counts[name] for name in TABLES} == {
        name: getattr(log, name).height for name in TABLES
    }
    versions = {name: lake.version(name) for name in lake.tables()}
    again = bring("simulation", folder)
    assert {name: lake.version(name) for name in lake.tables()} == versions
    assert all(tally["kept"] == 0 for tally in again["tables"].values())


def test_users_are_hashed_and_everything_else_stays_as_it_was(bring, folder, log, rows):
    bring("simulation", folder)
    keys = {raw: user_key(b"s" * 32, "default", raw) for raw in log.users["user_id"]}
    for name, key in (("turns", "turn_id"), ("decisions", "decision_id")):
        stored = {row[key]: row for row in rows(name)}
        for row in getattr(log, name).to_dicts():
            assert stored[row[key]] == {**row, "user_id": keys[row["user_id"]]}


def test_another_tenant_gets_rows_of_its_own(bring, folder, rows, log):
    policy = TenantPolicy(default_age_band="adult", default_purposes=("serve", "train"))
    bring("simulation", folder)
    bring("simulation", folder, tenant="acme", policy=policy)
    tenants = [row["tenant"] for row in rows("turns")]
    assert tenants.count("acme") == tenants.count("default") == log.turns.height


def test_a_row_keeps_those_of_its_purposes_that_the_tenant_allows(bring, change, rows):
    folder = change("turns", lambda rows: rows[0].update(purposes=["proactive", "train", "serve"]))
    counts = bring("simulation", folder, purposes=["train", "analytics"])
    purposes = [sorted(row["purposes"]) for row in rows("turns")]
    assert purposes.count(["train"]) == 1
    assert purposes.count(["analytics", "train"]) == len(purposes) - 1
    assert counts["quarantined"] == 0


def test_a_row_without_an_allowed_purpose_is_refused(bring, change, rows):
    folder = change("turns", lambda rows: rows[0].update(purposes=["proactive"]))
    assert bring("simulation", folder)["reasons"] == {
        "purposes: allow nothing that this tenant does": 1
    }


def test_a_minor_in_the_log_is_never_training_data(bring, change, lake):
    def minor(rows):
        for row in rows[:4]:
            row["groups"] = {"age_band": "minor"}

    bring("simulation", change("turns", minor))
    serve, train = (lake.scan("turns", purpose=p).collect() for p in ("serve", "train"))
    assert serve.height - train.height == 4


def test_bad_rows_are_quarantined_with_their_place_and_reason(bring, change, rows, log):
    rated = log.feedback["metric_name"].to_list().index("rating")

    def spoil(rows):
        rows[rated]["value"] = 9.0
        rows[rated + 1]["ts"] = None

    def mislay(rows):
        rows[7]["propensity"] = 0.99

    change("feedback", spoil)
    counts = bring("simulation", change("decisions", mislay))
    assert {(row["position"], row["field"]) for row in rows("quarantine")} == {
        (f"feedback.parquet row {rated + 1}", "value"),
        (f"feedback.parquet row {rated + 2}", "ts"),
        ("decisions.parquet row 8", "propensity"),
    }
    assert counts["tables"]["feedback"]["kept"] == log.feedback.height - 2
    raw = set(log.users["user_id"]) | set(log.turns["text"].drop_nulls())
    shown = " ".join(row["row"] for row in rows("quarantine"))
    assert not any(text in shown for text in raw)


SPOILERS = {
    "turns": {"role": "narrator", "turn_index": -4, "user_id": ""},
    "decisions": {"action_index": 99, "propensity": 0.123, "mode": "dice"},
    "feedback": {"value": float("nan"), "agent_id": "nobody", "feedback_id": None},
}


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_exactly_the_spoilt_rows_are_refused(bring, change, folder, log, data):
    write(log, folder)
    spoilt = 0
    for table, faults in SPOILERS.items():
        size = getattr(log, table).height
        places = data.draw(st.sets(st.integers(0, size - 1), max_size=6))
        kinds = [data.draw(st.sampled_from(sorted(faults))) for _ in places]

        def edit(rows, places=places, kinds=kinds, faults=faults):
            for place, kind in zip(places, kinds, strict=True):
                rows[place][kind] = faults[kind]

        change(table, edit)
        spoilt += len(places)
    assert bring("simulation", folder)["quarantined"] == spoilt


def test_a_crisis_is_replaced_and_its_decision_teaches_nothing(bring, change, log, rows):
    turn = log.turns.filter(role="user", kind="message").row(2, named=True)

    def despair(rows):
        for row in rows:
            if row["turn_id"] == turn["turn_id"]:
                row["text"] = "I want to end my life."

    bring("simulation", change("turns", despair))
    stored = {row["turn_id"]: row for row in rows("turns")}
    assert stored[turn["turn_id"]]["text"] == CRISIS_TEXT
    assert [row["facet"] for row in stored.values()].count("crisis") == 1
    guarded = [row for row in rows("decisions") if row["candidates"][0]["guard"] == "crisis"]
    assert [(row["episode_id"], row["turn_index"]) for row in guarded] == [
        (turn["conversation_id"], turn["turn_index"] + 1)
    ]


def test_texts_of_turns_candidates_and_comments_are_redacted(bring, change, lake):
    address = "mail me at dora@example.org"

    def say(rows):
        rows[0].update(text=address)

    def answer(rows):
        rows[0]["candidates"][rows[0]["action_index"]]["text"] = address

    def comment(rows):
        rows[0].update(text=address, metric_name="comment")

    change("turns", say)
    change("decisions", answer)
    bring("simulation", change("feedback", comment))
    for name in ("turns", "decisions", "feedback"):
        stored = str(lake.scan(name, purpose="train").collect().to_dicts())
        assert "dora" not in stored
        assert "mail me at [EMAIL]" in stored


def test_a_table_may_be_absent_and_a_nullable_column_too(bring, folder, log):
    (folder / "users.parquet").unlink()
    turns = folder / "turns.parquet"
    log.turns.drop("goal", "sentiment").write_parquet(turns)
    counts = bring("simulation", folder)
    assert counts["turns"] == log.turns.height
    assert "users" not in counts["tables"]


def test_what_is_no_simulated_log_is_the_operators_fault(bring, folder, log, tmp_path):
    for path in (tmp_path / "nowhere", tmp_path, folder / "turns.parquet"):
        with pytest.raises(ConfigError, match="no simulated log"):
            bring("simulation", path)
    (folder / "users.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ConfigError, match="no readable parquet"):
        bring("simulation", folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda frame: frame.drop("ts"), "'ts' is missing"),
        (lambda frame: frame.with_columns(turn_index=pl.lit("first")), "'turn_index' is"),
        (lambda frame: frame.with_columns(ts=pl.lit("yesterday")), "'ts' is"),
    ],
)
def test_a_table_of_another_schema_is_the_operators_fault(bring, folder, log, lake, edit, message):
    edit(log.turns).write_parquet(folder / "turns.parquet")
    with pytest.raises(ConfigError, match=message):
        bring("simulation", folder)
    assert lake.tables() == ()


def test_times_without_a_zone_are_taken_for_utc(bring, folder, log, rows):
    plain = log.users.with_columns(pl.col("ts").dt.replace_time_zone(None))
    plain.write_parquet(folder / "users.parquet")
    bring("simulation", folder)
    assert {row["ts"].astimezone(dt.UTC) for row in rows("users")} == set(log.users["ts"])

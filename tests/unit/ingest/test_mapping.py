import pytest

from rapport.errors import ConfigError
from rapport.ingest.mapping import AS_NAMED, found, load_mapping

FIELDS = ("user_id", "text", "attributes.")


@pytest.fixture
def load(write):
    return lambda content: load_mapping(write("map.yaml", content), format_="f", fields=FIELDS)


def test_ours_are_filled_from_theirs_and_the_rest_stays(load):
    mapping = load("user_id: who.id\nattributes.team: Team\ntext: {value: hello}\n")
    record = {"who": {"id": 7}, "Team": "x", "other": 1}
    assert mapping.applied(record) == {
        **record, "user_id": 7, "attributes.team": "x", "text": "hello",
    }  # fmt: skip


def test_a_name_with_a_dot_is_a_column_before_it_is_a_path():
    assert found({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert found({"a": {"b": 2}}, "a.b") == 2
    assert found({"a": 1}, "a.b") is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("usr: account", "--mapping is 'usr': f has no such field; known: user_id, text"),
        ("attributes.: x", "has no such field"),
        ("user_id: [a]", "--mapping user_id .* name their column"),
        ("roles: {boss: [x]}", "ours are: user, assistant, tool, system"),
        ("arms: {shouting: [x]}", "ours are: .*question"),
        ("- a", "it maps nothing; write lines like"),
        ("a: [", "it cannot be read"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong_and_what_there_is(content, message, load):
    with pytest.raises(ConfigError, match=message):
        load(content)


def test_a_missing_file_and_a_format_with_names_of_its_own_are_refused(write, tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_mapping(tmp_path / "none.yaml", format_="f", fields=FIELDS)
    with pytest.raises(ConfigError, match="names of its own"):
        load_mapping(write("map.yaml", "a: b"), format_="esconv", fields=())
    assert load_mapping(None, format_="esconv", fields=()) is AS_NAMED


def test_what_is_shown_of_a_record_is_not_whose_it_was(load):
    mapping = load("user_id: account.id")
    record = {"account": {"id": "ann"}, "text": "x", "user": "ann", "none": None}
    assert mapping.shown({**record, "metadata": {"user_id": "ann", "a": 1}}) == {
        "text": "x", "metadata": {"a": 1},
    }  # fmt: skip


def test_values_are_mapped_from_theirs_to_ours(load):
    mapping = load("roles: {user: human}\narms: {question: [ask, probe]}")
    assert (mapping.roles, mapping.arms) == (
        {"human": "user"}, {"ask": "question", "probe": "question"},
    )  # fmt: skip

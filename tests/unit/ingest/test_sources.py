import pytest

from rapport.config import object_store_query
from rapport.errors import ConfigError
from rapport.ingest.lines import lines
from rapport.ingest.sources import seekable, sources

ENDINGS = (".jsonl",)


@pytest.fixture
def log(write):
    for name in ("a.jsonl", "b.jsonl.gz", "sub/c.jsonl.zst", "sub/deep/d.jsonl", "e.txt"):
        write(name, f"from {name}\n")
    for name in ("_SUCCESS.jsonl", ".hidden.jsonl", "sub/_temporary/x.jsonl"):
        write(name, "nothing\n")
    return write("a.jsonl", "from a.jsonl\n").parent


def names(*places):
    return [source.name for source in sources([str(p) for p in places], endings=ENDINGS)]


def test_a_folder_is_all_that_lies_below_it_of_the_format(log):
    assert names(log) == ["a.jsonl", "b.jsonl.gz", "sub/c.jsonl.zst", "sub/deep/d.jsonl"]


def test_a_file_counts_whatever_it_is_called(log):
    assert names(log / "e.txt") == ["e.txt"]


def test_a_glob_stays_in_its_folder_unless_it_has_two_stars(log):
    assert names(f"{log}/*.jsonl*") == ["a.jsonl", "b.jsonl.gz"]
    assert names(f"{log}/**/*.jsonl*")[-2:] == ["sub/c.jsonl.zst", "sub/deep/d.jsonl"]
    assert names(f"{log}/s?b/*.zst") == ["s?b/*.zst".replace("s?b/*", "sub/c.jsonl")]


def test_a_uri_names_the_same_as_a_path(log):
    assert names(f"file://{log}") == names(log)
    assert names(f"file://{log}/*.jsonl", log) == names(log)


def test_every_packing_gives_the_same_lines(log):
    read = {s.name: [line.text for line in lines(s)] for s in sources([str(log)], endings=ENDINGS)}
    assert read == {name: [f"from {name}"] for name in read}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("nowhere", "nothing is there"),
        ("*.parquet", "no file there is of this format"),
        ("nosuch://x/y", "it cannot be reached"),
    ],
)
def test_a_place_without_a_file_is_refused_with_what_to_name(place, message, log):
    with pytest.raises(ConfigError, match=message):
        names(place if "://" in place else log / place)


def test_a_packed_file_can_be_read_in_any_order(log):
    (packed,) = sources([str(log / "sub/c.jsonl.zst")], endings=ENDINGS)
    with seekable(packed) as file:
        file.seek(5)
        assert file.read(5) == b"sub/c"


def test_an_object_store_takes_region_and_endpoint_from_the_environment(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    query = object_store_query("s3://bucket/logs")
    assert query == "?region=us-east-1&endpoint_override=127.0.0.1%3A9000&scheme=http"
    assert object_store_query("gs://bucket") == object_store_query("s3://b?region=x") == ""

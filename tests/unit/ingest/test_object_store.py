"""Logs in an object store, by URI: a real S3-compatible server; skipped where none installs."""

import gzip

import pytest

from rapport.errors import ConfigError
from tests.unit.ingest.exports import LOGS, a_chat, as_jsonl

server = pytest.importorskip("tests.unit.object_store")

pytestmark = pytest.mark.skipif(server.weed() is None, reason=server.MISSING)


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory):
    with server.serving(tmp_path_factory.mktemp("store")) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def reached(endpoint, monkeypatch):
    for name, value in server.environment(endpoint).items():
        monkeypatch.setenv(name, value)


def test_a_folder_a_glob_and_an_object_are_read_where_they_lie(bring):
    server.put("chats/day-1.jsonl", as_jsonl([a_chat(1)]))
    server.put("chats/sub/day-2.jsonl.gz", gzip.compress(as_jsonl([a_chat(2)])))
    server.put("chats/readme.txt", b"not a log")
    bucket = f"s3://{server.BUCKET}"
    whole = bring("openai-jsonl", f"{bucket}/chats")
    assert whole["tables"]["conversations"]["kept"] == 2
    for place in (f"{bucket}/chats/*.jsonl", f"{bucket}/chats/sub/day-2.jsonl.gz"):
        again = bring("openai-jsonl", place)["tables"]["conversations"]
        assert (again["read"], again["kept"], again["duplicate"]) == (1, 0, 1)


@pytest.mark.parametrize("name", sorted(LOGS))
def test_every_format_reads_an_object_as_it_reads_a_file(name, bring, write):
    build, dump, ending = LOGS[name]
    data = dump([build(n) for n in range(8)])
    server.put(f"{name}/log{ending}", data)
    remote = bring(name, f"s3://{server.BUCKET}/{name}/log{ending}")
    local = bring(name, write(f"log{ending}", data))
    assert remote["quarantined"] == 0
    assert [t["kept"] for t in remote["tables"].values()] == [
        t["duplicate"] for t in local["tables"].values()
    ]


def test_what_is_not_there_is_said_without_the_keys(bring):
    with pytest.raises(ConfigError, match="nothing is there") as raised:
        bring("openai-jsonl", f"s3://{server.BUCKET}/nowhere")
    assert "any" not in str(raised.value).replace("anything", "")

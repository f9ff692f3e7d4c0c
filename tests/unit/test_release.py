import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.errors import BrokenReleaseError, ConfigError, UnknownNameError
from rapport.release import (
    Metric,
    Origin,
    alias_of,
    current,
    find,
    folder_id,
    lineage_root,
    list_releases,
    promote,
    publish,
    read_manifest,
    rollback,
    stage,
    verify,
)

ALICE, BEN = "a1" * 16, "b2" * 16
FILES = {
    "policy/model.safetensors": b"\x00\x01",
    "personas/cards.json": b"{}",
    "reward.json": b"{}",
}
VERDICT = {"passed": True, "personas": {"wry-03": {"low": -0.01}}}


def an_origin(**facts):
    known = {
        "code_version": "0.1.0",
        "lineage": {"policy": [ALICE, BEN, ALICE], "adapters": [ALICE]},
        "salt": b"s" * 32,
        "seeds": {"policy": 7},
        "table_versions": {"decisions": 4},
    }
    return Origin(**known | facts)


def a_candidate(releases, *, name="work", **files):
    folder = releases / ".candidates" / name
    for path, content in {**FILES, **files, "verdict.json": json.dumps(VERDICT).encode()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def a_release(releases, **files):
    return publish(a_candidate(releases, **files), releases, origin=an_origin())


@pytest.fixture
def releases(tmp_path):
    return tmp_path / "releases"


def test_a_release_is_named_by_its_content_alone(releases):
    first = a_candidate(releases, name="one")
    second = a_candidate(releases, name="two")
    (second / "verdict.json").write_text("{}")
    (second / "manifest.json").write_text("left by a crash")
    third = a_candidate(releases, name="three", **{"reward.json": b"{ }"})
    moved = a_candidate(releases, name="four")
    (moved / "reward.json").rename(moved / "rewards.json")
    assert folder_id(first) == folder_id(second)
    assert len({folder_id(folder) for folder in (first, third, moved)}) == 3
    assert re.fullmatch("[0-9a-f]{16}", folder_id(first))


def test_the_manifest_says_where_a_release_comes_from_and_names_no_user(releases):
    metrics = [Metric(name="dr", group="wry-03", estimate=0.1, low=0.01, high=0.19, n=900)]
    candidate = a_candidate(releases)
    release_id = publish(candidate, releases, origin=an_origin(parents=["f" * 16]), metrics=metrics)
    manifest = verify(releases / release_id)
    assert not candidate.exists()
    assert set(manifest.files) == {*FILES, "verdict.json"}
    assert (manifest.release_id, manifest.alias) == (release_id, alias_of(release_id))
    assert manifest.users == {"policy": 2, "adapters": 1}
    assert manifest.table_versions == {"decisions": 4}
    assert (manifest.parents, manifest.seeds) == (("f" * 16,), {"policy": 7})
    assert manifest.metrics == tuple(metrics)
    assert manifest.verdict == VERDICT
    text = (releases / release_id / "manifest.json").read_text()
    assert ALICE not in text
    assert BEN not in text
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_the_lineage_root_depends_on_parts_users_and_salt_but_not_on_order():
    root = lineage_root({"a": [ALICE, BEN], "b": [BEN]}, salt=b"s")
    assert root == lineage_root({"b": [BEN, BEN], "a": [BEN, ALICE]}, salt=b"s")
    others = [
        lineage_root({"a": [ALICE, BEN], "b": [BEN]}, salt=b"t"),
        lineage_root({"a": [ALICE], "b": [BEN]}, salt=b"s"),
        lineage_root({"a": [ALICE, BEN, "b"], "b": []}, salt=b"s"),
    ]
    assert len({root, *others}) == 4


@given(st.binary(min_size=8, max_size=8))
def test_aliases_are_words_that_follow_from_the_id(digest):
    alias = alias_of(digest.hex())
    assert re.fullmatch(r"[a-z]+-[a-z]+-[1-9][0-9]?", alias)
    assert alias == alias_of(digest.hex())


def test_aliases_of_many_releases_differ():
    aliases = [alias_of(f"{n:016x}") for n in range(300)]
    assert len(set(aliases)) >= 299  # 64 moods, 72 animals and 99 numbers: .1 pairs expected


def test_a_release_in_which_a_user_is_named_is_refused(releases):
    for leak in (
        ALICE.encode(),
        b'{"who": "' + BEN.encode() + b'"}',
        b"\x00" + BEN.encode() + b"\xff",
    ):
        candidate = a_candidate(releases, **{"personas/cards.json": leak})
        with pytest.raises(BrokenReleaseError, match=r"personas/cards\.json") as caught:
            publish(candidate, releases, origin=an_origin())
        assert BEN not in str(caught.value)
    assert list_releases(releases) == []


def test_publishing_the_same_content_again_changes_nothing(releases):
    release_id = a_release(releases)
    before = (releases / release_id / "manifest.json").read_bytes()
    again = a_candidate(releases)
    assert publish(again, releases, origin=an_origin(code_version="0.2.0")) == release_id
    assert (releases / release_id / "manifest.json").read_bytes() == before
    assert not again.exists()


def test_a_staged_folder_becomes_a_candidate_named_by_its_content(releases, tmp_path):
    work = a_candidate(tmp_path)
    expected = folder_id(work)
    candidate = stage(work, releases)
    assert candidate == releases / ".candidates" / expected
    assert stage(candidate, releases) == candidate
    assert stage(a_candidate(tmp_path), releases) == candidate
    assert publish(candidate, releases, origin=an_origin()) == expected


def test_candidates_that_are_missing_empty_or_linked_are_refused(releases, tmp_path):
    with pytest.raises(ConfigError, match="train_policy"):
        publish(tmp_path / "nowhere", releases, origin=an_origin())
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(BrokenReleaseError, match="no files"):
        publish(empty, releases, origin=an_origin())
    linked = a_candidate(releases)
    (linked / "outside").symlink_to(tmp_path)
    with pytest.raises(BrokenReleaseError, match=r"'outside'.*link"):
        publish(linked, releases, origin=an_origin())


@pytest.mark.parametrize("verdict", ["{", '{"low": NaN}', "\xff"])
def test_a_verdict_that_is_not_json_is_refused(releases, verdict):
    candidate = a_candidate(releases)
    (candidate / "verdict.json").write_text(verdict, encoding="latin-1")
    with pytest.raises(BrokenReleaseError, match=r"verdict\.json"):
        publish(candidate, releases, origin=an_origin())


def test_metrics_are_numbers_or_missing():
    assert Metric(name="snips", n=0).estimate is None
    with pytest.raises(ValueError, match="finite"):
        Metric(name="snips", estimate=math.nan, n=3)


def flip_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "file"),
    [
        (lambda r: flip_bit(r / "policy/model.safetensors"), "policy/model.safetensors"),
        (lambda r: (r / "reward.json").unlink(), "reward.json"),
        (lambda r: (r / "verdict.json").write_text("{}"), "verdict.json"),
        (lambda r: (r / "personas/more.json").write_text("{}"), "personas/more.json"),
        (lambda r: (r / "manifest.json").unlink(), "manifest.json"),
        (lambda r: (r / "manifest.json").write_text('{"seal": "'), "manifest.json"),
        (lambda r: (r / "manifest.json").write_text("[]"), "manifest.json"),
        (lambda r: flip_bit(r / "manifest.json"), "manifest.json"),
        (lambda r: r.rename(r.with_name("0" * 16)), "manifest.json"),
    ],
)
def test_a_damaged_release_is_named_by_its_file_and_never_promoted(releases, damage, file):
    good = a_release(releases, **{"reward.json": b"1"})
    bad = a_release(releases)
    promote(releases, good)
    damage(releases / bad)
    (folder,) = (path for path in releases.iterdir() if path.is_dir() and path.name not in
                 (good, ".candidates"))  # fmt: skip
    with pytest.raises(BrokenReleaseError) as caught:
        verify(folder)
    assert caught.value.file == file
    with pytest.raises(BrokenReleaseError):
        promote(releases, folder.name)
    assert current(releases) == releases / good
    verify(releases / good)


def test_current_names_what_was_promoted_last(releases):
    assert current(releases) is None
    first, second = a_release(releases), a_release(releases, **{"reward.json": b"2"})
    assert current(releases) is None
    assert promote(releases, first) == releases / first
    assert promote(releases, alias_of(second)) == releases / second
    assert (releases / "CURRENT").read_text().strip() == second
    assert current(releases) == releases / second


def test_rolling_back_returns_to_what_served_before_until_there_is_nothing(releases):
    names = [a_release(releases, **{"reward.json": str(n).encode()}) for n in range(3)]
    with pytest.raises(ConfigError, match="no release served before"):
        rollback(releases)
    for name in (names[0], names[1], names[1], names[0], names[2]):
        promote(releases, name)
    served = [rollback(releases).name for _ in range(3)]
    assert served == [names[0], names[1], names[0]]
    with pytest.raises(ConfigError, match="no release served before"):
        rollback(releases)
    assert current(releases) == releases / names[0]


def test_rolling_back_to_a_broken_release_is_refused(releases):
    first, second = a_release(releases), a_release(releases, **{"reward.json": b"2"})
    promote(releases, first)
    promote(releases, second)
    (releases / first / "reward.json").unlink()
    with pytest.raises(BrokenReleaseError, match=r"reward\.json"):
        rollback(releases)
    assert current(releases) == releases / second


def test_current_that_names_nothing_is_broken(releases):
    promote(releases, a_release(releases))
    (releases / "CURRENT").write_text("0" * 16)
    with pytest.raises(BrokenReleaseError, match="missing"):
        current(releases)


def test_releases_are_found_by_id_its_start_or_alias(releases):
    release_id = a_release(releases)
    for name in (release_id, release_id[:4], alias_of(release_id)):
        assert find(releases, name) == releases / release_id
    for name in ("", release_id[:3], "no-such-1", "../" + release_id, ".candidates"):
        with pytest.raises(UnknownNameError, match=alias_of(release_id)):
            find(releases, name)


def test_the_list_shows_every_release_and_which_is_broken(releases):
    assert list_releases(releases) == []
    first, second, third = (a_release(releases, **{"reward.json": bytes([n])}) for n in range(3))
    promote(releases, second)
    (releases / first / "manifest.json").write_text("")
    listed = list_releases(releases)
    assert [one.release_id for one in listed] == [second, third, first]
    assert [one.is_current for one in listed] == [True, False, False]
    assert listed[0].manifest == read_manifest(releases / second)
    assert (listed[2].manifest, bool(listed[2].fault)) == (None, True)


DISK_STEPS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}


def run_until_step(call, step):
    """Run a call in a child that is killed just before its step-th touch of the disk.

    Returns:
        Whether the call was through before that.
    """
    child = os.fork()
    if child == 0:
        left = [step]

        def kill_at_zero(event, _arguments):
            if event in DISK_STEPS:
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(kill_at_zero)
        call()
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    assert os.WIFEXITED(status) or os.WTERMSIG(status) == signal.SIGKILL
    return os.WIFEXITED(status)


def crashes(call, check, *, template):
    """Kill the call before each of its steps, each time on a fresh copy of the template."""
    for step in range(1000):
        releases = template.parent / f"run{step}" / "releases"
        shutil.copytree(template, releases)
        done = run_until_step(lambda root=releases: call(root), step)
        check(releases, done)
        if done:
            return step
    pytest.fail("it never ended")


def test_a_crash_while_publishing_leaves_a_candidate_or_a_whole_release(releases):
    promote(releases, a_release(releases, **{"reward.json": b"old"}))
    a_candidate(releases)

    def published(root):
        return publish(root / ".candidates" / "work", root, origin=an_origin())

    def check(root, done):
        listed = list_releases(root)
        for one in listed:
            verify(root / one.release_id)
        waiting = (root / ".candidates" / "work").exists()
        assert len(listed) == (1 if waiting else 2)
        assert not (done and waiting)
        if waiting:
            verify(root / published(root))
        assert len(list_releases(root)) == 2

    assert crashes(published, check, template=releases) > 10


def test_a_crash_while_promoting_leaves_the_old_or_the_new_one(releases):
    zero, one, two = (a_release(releases, **{"reward.json": bytes([n])}) for n in range(3))
    promote(releases, zero)
    promote(releases, one)

    def check(root, done):
        now = verify(current(root) or root).release_id
        assert now in ({two} if done else {one, two})
        promote(root, two)
        assert [rollback(root).name for _ in range(2)] == [one, zero]

    assert crashes(lambda root: promote(root, two), check, template=releases) > 5


def test_a_crash_while_rolling_back_leaves_the_old_or_the_new_one(releases):
    zero, one, two = (a_release(releases, **{"reward.json": bytes([n])}) for n in range(3))
    for name in (zero, two, one):
        promote(releases, name)

    def check(root, done):
        now = verify(current(root) or root).release_id
        assert now in ({two} if done else {one, two})
        if now == one:
            rollback(root)
        assert current(root) == root / two
        assert rollback(root) == root / zero

    assert crashes(rollback, check, template=releases) > 5


def test_one_flipped_byte_anywhere_fails_verification_naming_the_file(releases):
    good = a_release(releases, **{"reward.json": b"1"})
    promote(releases, good)
    bad = a_release(releases)
    folder, tried = releases / bad, 0
    for path in sorted(file for file in folder.rglob("*") if file.is_file()):
        content = path.read_bytes()
        for place in range(len(content)):
            flipped = bytearray(content)
            flipped[place] ^= 1 << (place % 8)
            path.write_bytes(flipped)
            with pytest.raises(BrokenReleaseError) as caught:
                verify(folder)
            assert caught.value.file == path.relative_to(folder).as_posix(), place
            tried += 1
        with pytest.raises(BrokenReleaseError):
            promote(releases, bad)
        path.write_bytes(content)
    assert tried > 1000
    assert current(releases) == releases / good
    promote(releases, bad)


@pytest.mark.parametrize("blank", [" ", "\t", "\n"])
def test_a_manifest_that_says_the_same_in_other_blanks_was_altered(releases, blank):
    release_id = a_release(releases)
    path = releases / release_id / "manifest.json"
    path.write_text(path.read_text().replace(": ", ":" + 2 * blank, 1))
    with pytest.raises(BrokenReleaseError, match=r"manifest\.json.*altered"):
        verify(releases / release_id)


PROMOTE_FOREVER = """
import itertools, sys
from pathlib import Path
from rapport.release import promote, rollback
root, names = Path(sys.argv[1]), sys.argv[2:]
for turn in itertools.count():
    promote(root, names[turn % len(names)])
    if turn % 5 == 4:
        rollback(root)
    if turn == 3:
        print("under way", flush=True)
"""


def test_kill_9_at_ten_random_moments_never_leaves_current_broken(releases):
    names = [a_release(releases, **{"reward.json": bytes([n])}) for n in range(2)]
    promote(releases, names[0])
    pause = random.Random(4)
    for _ in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", PROMOTE_FOREVER, str(releases), *names],
            stdout=subprocess.PIPE,
        ) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"under way\n"
            time.sleep(pause.uniform(0.0, 0.05))
            child.send_signal(signal.SIGKILL)
        served = current(releases)
        assert served is not None
        assert verify(served).release_id in names
        history = (releases / "HISTORY").read_text().split()
        # HISTORY may be one step ahead of CURRENT or behind it; the next step mends it.
        assert set(history) <= set(names)
        assert served.name in history[-2:]
        other = next(name for name in names if name != served.name)
        assert promote(releases, other).name == other
        assert rollback(releases) == served
        assert (releases / "HISTORY").read_text().split()[-1] == served.name

"""The two runners of a stage give the same rows of the lake."""

import numpy as np
import pytest

from rapport.cluster.embedding import embed_log
from rapport.cluster.segments import segment_log
from rapport.cluster.session import ray_session
from rapport.home import Home
from rapport.lake import Lake
from rapport.pipeline.settings import EmbedConfig, SegmentConfig
from rapport.testing import a_turn, some_feedback, tiny_encoder
from rapport.testing.rows import START
from rapport.users.encoder import UserEncoder
from rapport.users.timelines import messages

USERS, TURNS = 40, 6
ALL, NEVER = 1, 10**9
"""Thresholds."""


def a_home(folder):
    """Users who say one of two things, and rate a reply each."""
    home = Home(folder)
    lake, said = Lake(home.lake), []
    for user in range(USERS):
        key, word = f"{user:032x}", ("gladly", "never")[user % 2]
        said += [
            a_turn(
                user_id=key,
                conversation_id=f"talk-{user}-{turn // 3}",
                turn_index=2 * (turn % 3),
                ts=START.replace(day=1 + turn, hour=user % 24),
                text=f"{word} {'and again ' * (turn % 4)}number {user * TURNS + turn}",
            )
            for turn in range(TURNS)
        ]
    told = [some_feedback(user_id=f"{u:032x}", feedback_id=f"f-{u}") for u in range(USERS)]
    lake.append("turns", said, writer="test")
    lake.append("feedback", told, writer="test")
    return home, lake


def rows(lake, table):
    return lake.scan(table).sort("user_id").collect()


def vectors_of(lake, table, key):
    frame = lake.scan(table).sort(key).collect()
    return np.array(frame["vector"].to_list(), np.float32)


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Two equal homes, one done by this process and one by Ray Data, and what the stages said."""
    root = tmp_path_factory.mktemp("runners")
    uri = f"file:{tiny_encoder(root / 'encoder')}"
    done = []
    for name, threshold in (("one process", NEVER), ("Ray Data", ALL)):
        home, lake = a_home(root / name.split()[0])
        settings = {"home": home.root, "encoder": uri, "held_turns": 30, "seed": 3}
        with ray_session(home, cpus=2):
            embedded = embed_log(EmbedConfig(threshold_turns=threshold, **settings))
            segmented = segment_log(SegmentConfig(threshold_turns=threshold, k=2, **settings))
        assert embedded["runner"] == segmented["runner"] == name
        done.append((home, lake, embedded, segmented))
    return done


def test_both_runners_embed_the_same(two):
    (home, here, counts, _), (other, there, others, _) = two
    assert {**counts, "runner": ""} == {**others, "runner": ""}
    assert counts["embedded"] == USERS * TURNS == messages(here, purpose="infer_affect").height
    assert UserEncoder.load(home.work / "encoder") == UserEncoder.load(other.work / "encoder")
    # Batches may differ between the runners, and bf16 keeps 8 bits: cosine is what must agree.
    turns = [vectors_of(lake, "turn_embeddings", "turn_id") for lake in (here, there)]
    assert ((turns[0] * turns[1]).sum(axis=1) > 0.9999).all()
    users = [vectors_of(lake, "user_embeddings", "user_id") for lake in (here, there)]
    np.testing.assert_allclose(users[0], users[1], atol=0.02)


def test_both_runners_find_and_assign_the_same_personas(two):
    (_, here, _, found), (_, there, _, others) = two
    assert (found["k"], found["users"]) == (others["k"], others["users"]) == (2, USERS)
    one, other = rows(here, "persona_assignments"), rows(there, "persona_assignments")
    assert one["user_id"].equals(other["user_id"])
    assert one["persona_id"].equals(other["persona_id"])
    np.testing.assert_allclose(one["probability"], other["probability"], atol=0.02)


def test_from_the_same_vectors_both_runners_give_the_same_bits(two, tmp_path):
    home, lake, _, _ = two[0]
    uri = two[0][2] and "unused"
    versions = []
    for threshold in (NEVER, ALL):
        config = SegmentConfig(
            home=home.root, encoder=uri, held_turns=30, k=2, threshold_turns=threshold
        )
        with ray_session(home, cpus=2):
            segment_log(config)
        assigned = rows(lake, "persona_assignments")
        versions.append((assigned["persona_version"].unique().to_list(), assigned))
    assert versions[0][0] == versions[1][0]
    assert versions[0][1].equals(versions[1][1])

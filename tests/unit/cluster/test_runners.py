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
    settings = {"encoder": f"file:{tiny_encoder(root / 'encoder')}", "held_turns": 30, "seed": 3}
    with ray_session(Home(root / "session"), cpus=2):
        yield [
            (*a_home(root / name.split()[0]), threshold, settings)
            for name, threshold in (("one process", NEVER), ("Ray Data", ALL))
        ]


@pytest.fixture(scope="module")
def embedded(two):
    return [
        embed_log(EmbedConfig(home=home.root, threshold_turns=threshold, **settings))
        for home, _, threshold, settings in two
    ]


@pytest.fixture(scope="module")
def segmented(two, embedded):
    return [
        segment_log(SegmentConfig(home=home.root, threshold_turns=threshold, k=2, **settings))
        for home, _, threshold, settings in two
    ]


def test_both_runners_embed_the_same(two, embedded):
    assert [counts.pop("runner") for counts in embedded] == ["one process", "Ray Data"]
    assert embedded[0] == embedded[1]
    lakes = [lake for _, lake, _, _ in two]
    assert messages(lakes[0], purpose="infer_affect").height == embedded[0]["embedded"] == 240
    encoders = [UserEncoder.load(home.work / "encoder") for home, _, _, _ in two]
    assert encoders[0] == encoders[1]
    # Batches may differ between the runners, and bf16 keeps 8 bits: cosine is what must agree.
    turns = [vectors_of(lake, "turn_embeddings", "turn_id") for lake in lakes]
    assert ((turns[0] * turns[1]).sum(axis=1) > 0.9999).all()
    users = [vectors_of(lake, "user_embeddings", "user_id") for lake in lakes]
    np.testing.assert_allclose(users[0], users[1], atol=0.02)


def test_both_runners_find_and_assign_the_same_personas(two, segmented):
    assert [found["runner"] for found in segmented] == ["one process", "Ray Data"]
    assert [(found["k"], found["users"]) for found in segmented] == [(2, USERS)] * 2
    one, other = (rows(lake, "persona_assignments") for _, lake, _, _ in two)
    assert one["user_id"].equals(other["user_id"])
    assert one["persona_id"].equals(other["persona_id"])
    np.testing.assert_allclose(one["probability"], other["probability"], atol=0.02)


def test_from_the_same_vectors_both_runners_give_the_same_bits(two, segmented):
    home, lake, _, settings = two[0]
    here = rows(lake, "persona_assignments")
    segment_log(SegmentConfig(home=home.root, threshold_turns=ALL, k=2, **settings))
    assert rows(lake, "persona_assignments").equals(here)

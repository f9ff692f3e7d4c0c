import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import adjusted_rand_score

from rapport.errors import TooLittleDataError
from rapport.lake import Lake
from rapport.personas.segmentation import (
    SegmentSettings,
    rewards_by_arm,
    segment_personas,
)
from rapport.testing import a_decision, a_turn
from rapport.testing.rows import ALL, START
from rapport.users.embed import embed_users
from tests.unit.personas.populations import a_population

PEOPLE = a_population(users=150, turns=12)
EACH = 12


def the_lake(root, *, private: int = 0, unlearned: int = 0) -> Lake:
    """The population as turns; the first users allow no inference, the next no training."""
    lake, rows = Lake(root), []
    for turn, user in enumerate(PEOPLE.users.tolist()):
        purposes = [
            purpose
            for purpose in ALL
            if not (purpose == "infer_affect" and user < private)
            and not (purpose == "train" and user < private + unlearned)
        ]
        rows.append(
            a_turn(
                user_id=f"{user:032x}",
                conversation_id=f"talk-{PEOPLE.conversations[turn]}",
                turn_index=2 * (turn % 4),
                ts=START + dt.timedelta(hours=turn % EACH),
                text=f"turn {turn}",
                purposes=purposes,
            )
        )
    lake.append("turns", rows, writer="test")
    return lake


def vectors_of(texts):
    yield np.arange(len(texts)), PEOPLE.vectors[[int(text.split()[1]) for text in texts]]


def embedded(root, **purposes):
    lake = the_lake(root, **purposes)
    encoder, _ = embed_users(lake, stream=vectors_of, encoder_id="words@1")
    return lake, encoder


def test_everybody_is_assigned_to_a_named_persona_with_a_card(tmp_path):
    lake, encoder = embedded(tmp_path)
    found = segment_personas(lake, encoder=encoder, settings=SegmentSettings(seed=0))
    assert (found.fitted, found.assigned) == (150, 150)
    rows = lake.scan("persona_assignments").collect()
    assert set(rows["persona_id"]) == set(found.model.names)
    assert rows["persona_version"].unique().to_list() == [found.model.version]
    assert rows.filter(pl.col("margin") > pl.col("probability")).is_empty()
    assert [card.persona_id for card in found.cards] == list(found.model.names)
    assert sum(card.users for card in found.cards) == 150
    assert found.model.encoder_id == "words@1"


def test_purposes_say_who_teaches_and_who_is_assigned(tmp_path):
    lake, encoder = embedded(tmp_path, private=10, unlearned=20)
    found = segment_personas(lake, encoder=encoder, settings=SegmentSettings(seed=0))
    assert (found.fitted, found.assigned) == (120, 140)
    assigned = set(lake.scan("persona_assignments").collect()["user_id"])
    assert assigned.isdisjoint(f"{user:032x}" for user in range(10))


def test_a_refit_keeps_the_names_unless_the_encoder_changed(tmp_path):
    lake, encoder = embedded(tmp_path)
    first = segment_personas(lake, encoder=encoder, settings=SegmentSettings(seed=0)).model
    settings = SegmentSettings(seed=9, with_events=False)
    again = segment_personas(lake, encoder=encoder, settings=settings, previous=first).model
    assert set(again.names) == set(first.names)
    assert again.habits is None
    encoder, _ = embed_users(lake, stream=vectors_of, encoder_id="words@2")
    other = segment_personas(lake, encoder=encoder, settings=settings, previous=first).model
    assert set(other.names).isdisjoint(first.names)


def test_emotions_of_messages_become_evidence(tmp_path):
    lake, encoder = embedded(tmp_path)
    asked = []

    def scorer(texts, vectors):
        asked.append((len(texts), vectors.shape))
        return np.random.default_rng(0).random((len(texts), 28))

    found = segment_personas(
        lake, encoder=encoder, settings=SegmentSettings(seed=0), emotions=scorer
    )
    assert asked == [(1800, (1800, 96))]
    assert found.model.emotions is not None


def test_parts_of_any_size_find_the_same_groups(tmp_path):
    lake, encoder = embedded(tmp_path)
    found = []
    for held in (10_000, 200):
        settings = SegmentSettings(seed=0, held_turns=held, scratch=tmp_path)
        found.append(segment_personas(lake, encoder=encoder, settings=settings))
        rows = lake.scan("persona_assignments").sort("user_id").collect()
        found.append(rows["persona_id"].to_numpy())
    assert len(found[0].model.names) == len(found[2].model.names)
    assert adjusted_rand_score(found[1], found[3]) > 0.95
    assert list(tmp_path.glob("parts-*")) == []


def test_personas_may_be_learned_from_some_users_and_all_are_assigned(tmp_path):
    lake, encoder = embedded(tmp_path)
    settings = SegmentSettings(seed=0, fit_users=60, held_turns=200)
    found = segment_personas(lake, encoder=encoder, settings=settings)
    assert 60 <= found.fitted < 100
    assert found.assigned == 150
    assert sum(found.model.users) == found.fitted


def test_too_few_users_are_no_population(tmp_path):
    lake, encoder = embedded(tmp_path, private=0, unlearned=140)
    with pytest.raises(TooLittleDataError, match="20"):
        segment_personas(lake, encoder=encoder, settings=SegmentSettings())


def test_rewards_are_the_newest_of_decisions_delivered_in_full(tmp_path):
    lake = Lake(tmp_path)
    decisions = [
        a_decision(episode_id="one", action_index=1),
        a_decision(episode_id="two", delivered="fallback"),
        a_decision(episode_id="three"),
    ]
    lake.append("decisions", decisions, writer="test")
    event = {k: decisions[0][k] for k in ("tenant", "ts", "ts_source", "user_id", "agent_id")}
    rewards = [
        {
            **event,
            "purposes": list(ALL),
            "groups": {},
            "source": "simulation",
            "decision_id": decision["decision_id"],
            "reward_version": version,
            "value": value,
            "channels": {"rating": value},
            "as_of": START,
        }
        for decision, version, value in (
            (decisions[0], 1, 0.1),
            (decisions[0], 2, 0.9),
            (decisions[1], 1, 0.5),
        )
    ]
    lake.append("rewards", rewards, writer="test")
    found = rewards_by_arm(lake)
    assert found.select("arm", "reward").rows() == [("reflection", 0.9)]

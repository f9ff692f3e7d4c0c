import datetime as dt
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from rapport.errors import DataError
from rapport.personas.cards import Card, build_cards, load_cards, save_cards, told_to_a_model
from tests.unit.personas.test_model import a_model

START = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)


def cards(*, people: int = 40) -> list[Card]:
    rng = np.random.default_rng(0)
    users = [f"user-{i:03d}" for i in range(2 * people)]
    first = np.arange(2 * people) < people
    members = pl.DataFrame(
        {"user_id": users, "persona_id": np.where(first, "fern-01", "reed-02").tolist()}
    )
    texts = pl.DataFrame(
        {
            "user_id": users,
            "text": np.where(first, "oh dear, my secret is out", "the fact is noted").tolist(),
        }
    )
    events = pl.DataFrame(
        {
            "user_id": np.repeat(users, 2).tolist(),
            "ts": [START, START + dt.timedelta(days=2)] * (2 * people),
            "kind": ["rating", "dwell"] * (2 * people),
            "value": np.stack([3.0 + first, 5.0 + rng.random(2 * people)], axis=1).reshape(-1),
        }
    )
    rewards = pl.DataFrame(
        {
            "user_id": users,
            "arm": ["question"] * (2 * people),
            "reward": 0.4 * first + 0.05 * rng.normal(size=2 * people),
        }
    )
    return build_cards(a_model(), members, texts=texts, events=events, rewards=rewards, seed=0)


def test_a_card_says_how_the_group_differs():
    fern, reed = cards()
    assert (fern.users, fern.share) == (40, 0.5)
    assert {told.name for told in fern.events} == {"dwell", "rating", "away", "words"}
    assert fern.reactions[0].name == "question"
    assert fern.reactions[0].difference == pytest.approx(-reed.reactions[0].difference, abs=0.05)
    assert "rates replies 4 of 5, everybody 3.5" in fern.text
    assert "question +0.2" in fern.text
    assert "question -0.2" in reed.text


def test_a_card_holds_no_sentence_of_a_user_and_no_user():
    for card in cards():
        assert "user-0" not in card.text
        assert "my secret is out" not in card.text


def test_a_group_of_few_people_shows_its_size_alone():
    fern, _ = cards(people=12)
    assert (fern.terms, fern.events, fern.reactions) == ([], [], [])
    assert fern.sentences[-1] == "How this group reacts is not known yet."


def test_saved_cards_are_read_back(tmp_path):
    made = cards()
    save_cards(made, tmp_path / "personas")
    assert load_cards(tmp_path / "personas") == {card.persona_id: card for card in made}
    with pytest.raises(DataError, match="segment_personas"):
        load_cards(tmp_path)


def test_a_model_is_told_neither_size_nor_reactions(tmp_path):
    first, _ = cards()
    save_cards([first, replace(first, persona_id="bare-03", terms=[], events=[])], tmp_path)
    told = told_to_a_model(tmp_path)
    assert set(told) == {first.persona_id}
    assert told[first.persona_id].startswith("This person is like others. More often than others")
    assert "people, 50%" not in told[first.persona_id]
    assert "reward" not in told[first.persona_id]

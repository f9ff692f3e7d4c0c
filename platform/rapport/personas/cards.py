"""Cards: what a persona is, in counts and differences; no user's words, no user's id."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from rapport.errors import DataError
from rapport.personas.differences import Difference, differences
from rapport.personas.model import PersonaModel
from rapport.personas.terms import Term, distinctive_terms

_FILE = "cards.json"
_AWAY_S = 1800.0
"""Seconds without an event after which somebody was away."""
_HOUR_S = 3600.0
_MEASURES = {
    "dwell": ("reads a reply for", "s"),
    "rating": ("rates replies", "of 5"),
    "away": ("returns after", "hours"),
    "words": ("writes", "words a message"),
}


@dataclass(frozen=True)
class Card:
    """How one persona differs from everybody, in words, in events and in reaction.

    `reactions` compare the mean reward of each kind of reply; `events` hold reading time (s),
    rating, hours away and words a message. Nothing here stands on fewer than 20 people.
    """

    persona_id: str
    users: int
    share: float
    terms: list[Term]
    events: list[Difference]
    reactions: list[Difference]

    @property
    def sentences(self) -> list[str]:
        """The card in English, one sentence a fact; only differences beyond chance are told."""
        said = [f"{self.persona_id}: {self.users} people, {self.share:.0%} of those known."]
        if self.terms:
            words = ", ".join(f"'{term.term}' ({term.people} people)" for term in self.terms)
            said.append(f"More often than others they write {words}.")
        for told in (found for found in self.events if found.clear):
            verb, unit = _MEASURES[told.name]
            said.append(
                f"On average this group {verb} {told.mean:.3g} {unit}, everybody "
                f"{told.everybody:.3g} (difference {_signed(told, '.3g')})."
            )
        said.append(_reaction_sentence(self.reactions))
        return said

    @property
    def text(self) -> str:
        """All sentences."""
        return " ".join(self.sentences)


def build_cards(
    model: PersonaModel,
    members: pl.DataFrame,
    *,
    texts: pl.DataFrame,
    events: pl.DataFrame,
    rewards: pl.DataFrame,
    seed: int,
) -> list[Card]:
    """Describe every persona of a model.

    Args:
        model: K personas.
        members: Columns `user_id, persona_id`: who is in which.
        texts: Columns `user_id, text`: their messages.
        events: Their timeline, see `rapport.users.timelines.events`.
        rewards: Columns `user_id, arm, reward`; may be empty.
        seed: Of the intervals.
    """
    terms = distinctive_terms(texts, members)
    measured = differences(_measured(texts, events), members, seed=seed)
    reacted = differences(rewards.select("user_id", name="arm", value="reward"), members, seed=seed)
    sizes = dict(members.group_by("persona_id").len().iter_rows())
    return [
        Card(
            persona_id=name,
            users=sizes.get(name, 0),
            share=round(sizes.get(name, 0) / max(members.height, 1), 4),
            terms=terms.get(name, []),
            events=measured.get(name, []),
            reactions=reacted.get(name, []),
        )
        for name in model.names
    ]


def save_cards(cards: Sequence[Card], folder: Path) -> None:
    """Write `cards.json`: the numbers of each card and its sentences."""
    folder.mkdir(parents=True, exist_ok=True)
    stated = [{**asdict(card), "sentences": card.sentences} for card in cards]
    (folder / _FILE).write_text(json.dumps(stated, indent=2) + "\n", encoding="utf-8")


def load_cards(folder: Path) -> dict[str, Card]:
    """Read cards back, by persona.

    Raises:
        DataError: No cards lie there.
    """
    try:
        stated = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        cards = [
            Card(
                persona_id=card["persona_id"],
                users=card["users"],
                share=card["share"],
                terms=[Term(**term) for term in card["terms"]],
                events=[Difference(**told) for told in card["events"]],
                reactions=[Difference(**told) for told in card["reactions"]],
            )
            for card in stated
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"no cards in {str(folder)!r}", "run segment_personas") from error
    return {card.persona_id: card for card in cards}


def told_to_a_model(folder: Path) -> dict[str, str]:
    """What prompts at level `context` say of a user, by persona; personas without words have none.

    A card without its size and its reactions: those are for the policy.

    Raises:
        DataError: No cards lie in the folder.
    """
    said = {name: " ".join(card.sentences[1:-1]) for name, card in load_cards(folder).items()}
    return {name: f"This person is like others. {text}" for name, text in said.items() if text}


def _measured(texts: pl.DataFrame, events: pl.DataFrame) -> pl.DataFrame:
    """Columns `user_id, name, value` in the units of the cards."""
    words = texts.select(
        "user_id",
        name=pl.lit("words"),
        value=pl.col("text").str.count_matches(r"\S+").cast(pl.Float64),
    )
    told = events.filter(pl.col("kind").is_in(["dwell", "rating"])).select(
        "user_id", name="kind", value="value"
    )
    gap = (pl.col("ts") - pl.col("ts").shift(1).over("user_id")).dt.total_microseconds() / 1e6
    away = (
        events.select("user_id", name=pl.lit("away"), value=gap)
        .filter(pl.col("value") > _AWAY_S)
        .with_columns(pl.col("value") / _HOUR_S)
    )
    return pl.concat([words, told, away])


def _reaction_sentence(reactions: Sequence[Difference]) -> str:
    if not reactions:
        return "How this group reacts is not known yet."
    clear = sorted((told for told in reactions if told.clear), key=lambda told: -told.difference)
    if not clear:
        return "To no kind of reply does this group react differently from everybody."
    parts = [f"{told.name} {_signed(told, '.2f')}" for told in clear]
    return "Against everybody's, its reward differs for " + "; ".join(parts) + "."


def _signed(told: Difference, form: str) -> str:
    low, high = format(told.low, "+" + form), format(told.high, "+" + form)
    return f"{told.difference:+{form}}, 95 % {low} to {high}"

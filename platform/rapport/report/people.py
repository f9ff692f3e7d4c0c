"""Who the users are: the persona map with its cards, and how their mood goes."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from rapport.personas.model import PersonaModel
from rapport.personas.subspace import projected
from rapport.report import figures
from rapport.report.blocks import Block, Section, Table, signed
from rapport.report.facts import Facts
from rapport.report.outcomes import means
from rapport.users.encoder import UserEncoder

_POINTS = 3000
"""More users are drawn as a sample of so many."""
_MESSAGES = 8
"""Longer conversations are cut here: few are so long, and their means would be of few."""
Card = Mapping[str, Any]


def persons(facts: Facts) -> Section:
    """The map and the cards."""
    title = "Personas"
    folder = facts.part("personas")
    if folder is None:
        return Section(title, [_none_yet(facts)])
    cards = json.loads((folder / "cards.json").read_text(encoding="utf-8"))
    lead = [
        f"{len(cards)} personas, chosen from the data. They tell how people write and what they "
        "answer well to, not what they talk about; every user has a probability of each."
        if len(cards) > 1
        else "The data tell no groups apart: everybody counts as one persona.",
    ]
    return Section(title, lead, [*_map(facts), _cards(cards)])


def _none_yet(facts: Facts) -> str:
    if "segment_personas" in facts.skipped:
        return "None were looked for: the log is too small, see the advice above."
    return "None were found yet: rapport run segment_personas."


def moods(facts: Facts) -> Section:
    """Sentiment curves over a conversation, by persona."""
    title = "Sentiment over a conversation"
    data = facts.data
    if data is None:
        return Section(title, [f"Nothing to draw: {facts.missing}."])
    message = (data.situation.turn_index // 2).clip(max=_MESSAGES - 1)
    frames = []
    for place in range(_MESSAGES):
        rows = message == place
        found = means(data.persona[rows], data.situation.curve[rows], data.user[rows])
        frames.append(found.with_columns(message=pl.lit(place + 1)))
    numbers = pl.concat(frames)
    told = figures.Told(
        "sentiment",
        "Robustly smoothed sentiment (-1 to 1) after a conversation's nth message, by persona, "
        f"with 95 % intervals; n {len(data):,} messages; the last point holds all later ones",
        "Lines of mean sentiment by message for each persona",
    )
    axes = ("message of the conversation", "sentiment curve, -1 to 1")
    plot = figures.courses(told, numbers, group="label", x="message", axes=axes)
    lead = [
        "How people write changes slowly and says little about relief; the reward reads the "
        "change of this curve across a reply, never its level.",
    ]
    return Section(title, lead, [plot])


def _map(facts: Facts) -> list[Block]:
    folder, encoder = facts.part("personas"), facts.part("encoder")
    if folder is None or encoder is None:
        return []
    model, users = PersonaModel.load(folder), UserEncoder.load(encoder)
    stated = facts.lake.scan("user_embeddings").filter(
        (pl.col("tenant") == facts.tenant) & (pl.col("encoder_id") == users.encoder_id)
    )
    assigned = facts.lake.scan("persona_assignments").filter(pl.col("tenant") == facts.tenant)
    found = stated.join(assigned, on=["tenant", "user_id"]).select("vector", "persona_id").collect()
    if found.height < 2 or model.centroids.shape[1] < 2:
        return []
    found = found.sample(min(_POINTS, found.height), seed=0)
    vectors = np.array(found["vector"].to_list(), dtype=np.float32)
    z = projected(users.parts(vectors).mean, origin=model.origin, projection=model.projection)
    middle = model.centroids - model.centroids.mean(axis=0)
    axes = np.linalg.svd(middle, full_matrices=False)[2][:2]
    x, y = (z - model.centroids.mean(axis=0)) @ axes.T[:, 0], z @ axes.T[:, 1]
    numbers = pl.DataFrame({"x": x, "y": y, "persona": found["persona_id"]})
    told = figures.Told(
        "persona_map",
        f"{found.height:,} users, each a point, in the plane in which the personas lie farthest "
        "apart; 1 is the spread of single messages of one user",
        "Scatter of users, coloured by persona; clouds overlap at their edges",
    )
    labels = ("first direction, within-user standard deviations", "second direction, the same unit")
    return [figures.places(told, numbers, group="persona", axes=labels)]


def _cards(cards: Sequence[Card]) -> Table:
    return Table(
        "Cards: what sets each persona apart; terms and counts of at least 20 people, differences "
        "whose 95 % interval excludes 0",
        (
            "persona",
            "users",
            "share",
            "writes more often",
            "measured (everybody)",
            "answers well to",
            "badly to",
        ),
        [
            (
                card["persona_id"],
                card["users"],
                f"{card['share']:.0%}",
                ", ".join(term["term"] for term in card["terms"][:6]),
                ", ".join(_event(found) for found in card["events"] if _clear(found)) or "-",
                _reactions(card, sign=1),
                _reactions(card, sign=-1),
            )
            for card in cards
        ],
    )


def _event(found: Card) -> str:
    return f"{found['name']} {found['mean']:.3g} ({found['everybody']:.3g})"


def _reactions(card: Card, *, sign: int) -> str:
    clear = [one for one in card["reactions"] if _clear(one) and sign * one["difference"] > 0]
    clear.sort(key=lambda one: -abs(one["difference"]))
    return ", ".join(f"{one['name']} {signed(one['difference'], 2)}" for one in clear[:3]) or "-"


def _clear(found: Card) -> bool:
    return bool(found["low"] > 0 or found["high"] < 0)

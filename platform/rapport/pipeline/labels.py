"""The stage `label_arms`: decisions out of the replies of logs that hold none.

A reply's arm is the one the log names, else the one the menu's exemplars tell, where they are sure
enough; its propensity is estimated by a model of how the log's assistant chose. Logs that came
with decisions, and conversations with one, are left as they are.
"""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.affect.exemplars import ExemplarScorer
from rapport.arms import load_menu
from rapport.ingest.behaviour import Choice, FloatArray, frequencies, log_loss, propensities
from rapport.ingest.landing import Landing
from rapport.lake import Lake, lake_of
from rapport.pipeline.label_rows import decision_row
from rapport.pipeline.replies import Replies, open_replies
from rapport.pipeline.settings import LabelConfig
from rapport.progress import progress
from rapport.schema import to_table
from rapport.text import TextEncoder, load_encoder

_BLOCK = 1024
_LANDED = 10_000  # decisions an append: about 100 MB of rows


@dataclass(frozen=True)
class _Labels:
    """Arms of N replies, as places in `names`; -1 where none was sure enough."""

    names: Sequence[str]
    arm: NDArray[np.int64]
    confidence: FloatArray
    read: int
    """Replies that were looked at before the budget ended."""


def label_arms(config: LabelConfig) -> dict[str, Any]:
    """Label what can be labelled and append the decisions; a second run adds nothing."""
    lake = lake_of(config)
    replies, left_alone = open_replies(lake, tenant=config.tenant)
    told: dict[str, Any] = {"replies": replies.height, "left alone": left_alone}
    if not replies.height:
        return {**told, "decisions": 0, "note": _nothing(left_alone)}
    encoder = load_encoder(config.encoder)
    deadline = time.monotonic() + (config.seconds or np.inf)
    counts = Counter[str]()
    arms = Counter[str]()
    facts: dict[str, Any] = {}
    for agent in sorted(replies.frame["agent_id"].unique()):
        own = replies.of(agent)
        labels = _labels(own, agent, encoder, config, deadline=deadline)
        chances, facts[agent] = _chances(own, labels)
        counts += _appended(lake, own, labels, chances)
        arms.update(labels.names[place] for place in labels.arm if place >= 0)
        counts["left for the next run"] += own.height - labels.read
    left = counts["left for the next run"]
    return {
        **told,
        "labelled": arms.total(),
        "unsure": replies.height - arms.total() - left,
        "confidence": config.confidence,
        "decisions": counts["decisions"],
        "arms": dict(arms.most_common()),
        "behaviour": facts,
        **({"stopped_by": f"budget, {left} replies left"} if left else {}),
    }


def _nothing(left_alone: dict[str, int]) -> str:
    if left_alone:
        return f"the logs of {', '.join(left_alone)} carry arms or decisions; nothing to label"
    return (
        "no reply to label: it takes a user's message, then an assistant's, of users who agreed "
        "to training; ingest conversations with both"
    )


def _labels(
    replies: Replies, agent: str, encoder: TextEncoder, config: LabelConfig, *, deadline: float
) -> _Labels:
    menu = load_menu(agent)
    given = replies.frame["arm"]
    served = [arm.name for arm in menu.served]
    names = [*served, *sorted(set(given.drop_nulls()) - set(served))]
    arm = np.array([-1 if name is None else names.index(name) for name in given], dtype=np.int64)
    confidence = np.where(arm >= 0, 1.0, 0.0)
    unnamed = np.flatnonzero(arm < 0)
    texts = replies.frame["text"].to_list()
    scorer, done = ExemplarScorer.of(menu, encoder), 0
    with progress(f"labelling replies of {agent}", len(unnamed)) as advance:
        for block in _blocks(unnamed):
            if done and time.monotonic() > deadline:
                break
            said = [texts[i] for i in block]
            found = scorer.predict(said, encoder.encode(said))
            confidence[block] = found.max(axis=1)
            sure = found.max(axis=1) >= config.confidence
            arm[block[sure]] = found.argmax(axis=1)[sure]
            done += len(block)
            advance(len(block))
    return _Labels(names, arm, confidence, replies.height - len(unnamed) + done)


def _blocks(rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(rows), _BLOCK):
        yield rows[start : start + _BLOCK]


def _chances(replies: Replies, labels: _Labels) -> tuple[FloatArray, dict[str, Any]]:
    """Propensities [L, A] of the L labelled replies, and how good they are."""
    choices = _choices(replies, labels)
    width = len(labels.names)
    chances = propensities(choices, arms=width)
    if not choices:
        return chances, {"runs": 0}
    taken = np.array([choice.arm for choice in choices])
    plain = np.tile(frequencies(taken, width), (len(taken), 1))
    return chances, {
        "runs": len(choices),
        "log_loss": round(log_loss(chances, taken), 4),
        "log_loss_of_frequencies": round(log_loss(plain, taken), 4),
    }


def _choices(replies: Replies, labels: _Labels) -> list[Choice]:
    choices = []
    previous, position, conversation = "", 0, None
    for row, arm in zip(replies.frame.iter_rows(named=True), labels.arm, strict=True):
        if row["conversation_id"] != conversation:
            previous, position, conversation = "", 0, row["conversation_id"]
        if arm >= 0:
            choices.append(
                Choice(
                    dialogue_id=row["conversation_id"],
                    position=position,
                    previous=previous,
                    message=row["message"],
                    types={"topic": row["topic"]} if row["topic"] else {},
                    arm=int(arm),
                    fit=True,
                )
            )
        previous = labels.names[arm] if arm >= 0 else ""
        position += 1
    return choices


def _appended(lake: Lake, replies: Replies, labels: _Labels, chances: FloatArray) -> Counter[str]:
    places = np.flatnonzero(labels.arm >= 0)
    counts, landing = Counter[str](), Landing(lake)
    for start in range(0, len(places), _LANDED):
        part = places[start : start + _LANDED]
        frame = replies.frame[part]
        rows = [
            decision_row(
                row, labels.names, int(labels.arm[i]), chances[start + k], labels.confidence[i]
            )
            for k, (i, row) in enumerate(zip(part, frame.iter_rows(named=True), strict=True))
        ]
        counts["decisions"] += landing.land("decisions", to_table("decisions", rows)).fresh.height
    return counts

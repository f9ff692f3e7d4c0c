"""Which support strategy comes next in a conversation, and which one a reply shows.

Trained in a home on dialogues whose supporters' strategies are known (ESConv); never shipped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from rapport.affect.encoders import Encoder, fitting_encoder
from rapport.affect.strategy import StrategyScorer
from rapport.affect.weights import load_weights, save_weights, stands

if TYPE_CHECKING:  # seconds to import: who only looks whether one was trained does not wait
    from rapport.affect.recurrent import Course, Weights

FloatArray = NDArray[np.float64]
Conversation = Sequence[Mapping[str, str]]
"""Messages, oldest first: `role` (user, assistant), `content`, and of a reply `arm`, if known."""
NAME, SHOWN = "next_strategy", "shown_strategy"
HISTORY = 120
"""Messages before a reply that are read at most; ESConv's longest dialogue has as many."""


@dataclass(frozen=True)
class NextStrategyScorer:
    """Predict the strategy of the reply that comes next; any number of threads may share one."""

    arms: tuple[str, ...]
    """Names of the K columns."""
    members: tuple["Weights", ...]
    """Recurrent networks, whose probabilities are averaged."""
    factor: float
    """On log probabilities, so that they are calibrated."""
    shift: FloatArray
    """[K] taken off log probabilities before the likeliest is chosen: part of the log prior, so
    that frequent strategies are not chosen more often than they should be."""
    replies: StrategyScorer
    """Which strategy a reply shows."""
    encoder: Encoder
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Licence, sources and measurements, as in the JSON beside the weights."""

    def strategies(self, conversations: Sequence[Conversation]) -> FloatArray:
        """Calibrated probability [N, K] of each strategy for the reply that comes next."""
        from rapport.affect.recurrent import recurrent_scores  # noqa: PLC0415

        if not conversations:
            return np.zeros((0, len(self.arms)))
        courses = courses_of([talk[-HISTORY:] for talk in conversations], self.arms, self.encoder)
        last = [
            np.stack([rows[-1] for rows in recurrent_scores(one, courses, kinds=len(self.arms))])
            for one in self.members
        ]
        return np.asarray(softmax(self.factor * pooled(last), axis=1))

    def chosen(self, probability: FloatArray) -> list[str]:
        """The strategy to take, given probabilities [N, K] from `strategies`."""
        logs = np.log(np.maximum(probability, 1e-12)) / self.factor - self.shift
        return [self.arms[place] for place in logs.argmax(axis=1)]

    def shown(self, replies: Sequence[str]) -> FloatArray:
        """Probability [N, K] of the strategy that each reply shows, from its text alone."""
        told = self.replies.predict(replies, self.encoder.encode(replies))
        found = np.zeros((len(replies), len(self.arms)))
        found[:, [self.arms.index(arm) for arm in self.replies.arms]] = told
        return found

    def save(self, folder: Path) -> Path:
        """Write weights and facts to a folder."""
        arrays: dict[str, NDArray[Any]] = {"factor": np.array([self.factor]), "shift": self.shift}
        for place, member in enumerate(self.members):
            arrays |= {f"{place}:{name}": array for name, array in member.items()}
        self.replies.save(folder, name=SHOWN)
        facts = {**self.facts, "arms": self.arms, "encoder_id": self.encoder.encoder_id}
        return save_weights(folder, NAME, arrays, facts)


def load_next_strategy(home: Path, *, encoder: Encoder | None = None) -> NextStrategyScorer | None:
    """The scorer trained in a home, none where none was.

    Args:
        home: Folder of the installation.
        encoder: Of the texts; none loads the default one.

    Raises:
        ModelHashError: A file of weights is damaged.
        ConfigError: It was trained with another encoder.
    """
    folder = home / "models"
    if not stands(folder, NAME):
        return None
    arrays, facts = load_weights(folder, NAME)
    members: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        place, colon, part = name.partition(":")
        if colon:
            members.setdefault(place, {})[part] = array
    return NextStrategyScorer(
        arms=tuple(facts["arms"]),
        members=tuple(members[place] for place in sorted(members, key=int)),
        factor=float(arrays["factor"][0]),
        shift=arrays["shift"],
        replies=StrategyScorer.load(folder, name=SHOWN),
        encoder=fitting_encoder(encoder, facts["encoder_id"]),
        facts=facts,
    )


def pooled(scores: Sequence[NDArray[Any]]) -> FloatArray:
    """Log of the mean probability [N, K] over members, from the scores [N, K] of each."""
    mean = np.mean([softmax(one.astype(np.float64), axis=1) for one in scores], axis=0)
    return np.asarray(np.log(np.maximum(mean, 1e-12)))


def courses_of(
    conversations: Sequence[Conversation], arms: Sequence[str], encoder: Encoder
) -> list["Course"]:
    """Conversations as the network reads them; each text is encoded once."""
    from rapport.affect.recurrent import Course  # noqa: PLC0415

    texts = list(dict.fromkeys(said["content"] for talk in conversations for said in talk))
    row = {text: place for place, text in enumerate(texts)}
    vectors = encoder.encode(texts)
    return [
        Course(
            vectors[[row[said["content"]] for said in talk]].reshape(len(talk), vectors.shape[1]),
            np.array([_kind(said, arms) for said in talk], dtype=np.int64),
        )
        for talk in conversations
    ]


def _kind(said: Mapping[str, str], arms: Sequence[str]) -> int:
    """Number of a message's kind: its strategy, else user, else a reply of unknown strategy."""
    if said["role"] == "user":
        return len(arms)
    arm = said.get("arm")
    return arms.index(arm) if arm in arms else len(arms) + 1

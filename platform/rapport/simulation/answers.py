"""What the logged agents answer: the arm drawn, its words, and what every arm was worth."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rapport.simulation import agents
from rapport.simulation.conversations import Now, together
from rapport.simulation.language import Wording
from rapport.simulation.minds import Minds, appeal, satisfaction
from rapport.simulation.phrases import SLOTS, leads
from rapport.simulation.reactions import Heard, clickable
from rapport.simulation.settings import SimulationConfig

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def answer(
    minds: Minds, now: Now, wording: Wording, config: SimulationConfig, rng: np.random.Generator
) -> tuple[dict[str, Any], Heard]:
    """Answer every user once: the columns of a step that the agents fill, and what was heard.

    Cost O(N * R) for the R replies of an agent on a topic: all of them are judged, since the
    truth holds every arm's average. Adds the replies to what the users remember.
    """
    count = len(minds)
    width = max(len(agents.served_arms(agent_id)) for agent_id in config.agents)
    liking = minds.liking(now.mood)
    echo = _Echo.draw(minds, wording, rng)
    result: dict[str, Any] = {
        "reply": np.empty(count, dtype=object),
        "arm": np.full(count, agents.CONTROL, dtype=np.int64),
        "probabilities": np.zeros((count, width)),
        "expected": np.full((count, width), np.nan),
        "expected_plain": np.zeros(count),
    }
    heard = Heard(np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64))
    for rows, agent_id, topic in together(now, config):
        replies = agents.replies(agent_id, topic)
        repeated = _repeated(replies.repeated, now.recent[rows])
        appealing = appeal(liking[rows], replies.reading, repeated)
        probabilities = agents.logging_probabilities(
            agent_id, wording.mood[rows] - 1, now.exchange[rows], floor=config.floor
        )
        arm = np.where(minds.control[rows], agents.CONTROL, agents.draw(probabilities, rng))
        taken = agents.draw((replies.arm == arm[:, None]).astype(np.float64), rng)
        arms, own = probabilities.shape[1], np.arange(len(rows))
        result["reply"][rows] = np.array(replies.texts, dtype=object)[taken]
        result["arm"][rows] = arm
        result["probabilities"][rows, :arms] = probabilities
        result["expected"][rows, :arms] = echo.expected(appealing, rows) @ replies.share.T
        result["expected_plain"][rows] = satisfaction(appealing, kindred=False) @ replies.plain
        heard.felt[rows] = satisfaction(appealing[own, taken], echo.kindred(rows))
        heard.clickable[rows] = clickable(replies.reading.marks[taken])
        heard.words[rows] = replies.reading.length[taken]
        now.recent[rows] = np.stack([taken, now.recent[rows, 0]], axis=1)
    result["reply"] = echo.spoken(result["reply"])
    return result, heard


@dataclass(frozen=True)
class _Echo:
    """Leads of N replies: the `manner` [N] each could echo, whether it `led` [N], `own` manner."""

    manner: IntArray
    led: NDArray[np.bool_]
    own: NDArray[np.bool_]
    pick: IntArray

    @classmethod
    def draw(cls, minds: Minds, wording: Wording, rng: np.random.Generator) -> "_Echo":
        manner = wording.manner[:, SLOTS.index("opener")]
        echoed = rng.random(len(minds)) < agents.ECHOED
        return cls(
            manner=manner,
            led=echoed & (manner > 0) & ~minds.control,
            own=manner == minds.persona + 1,
            pick=rng.integers(0, 2, len(minds)),
        )

    def kindred(self, rows: IntArray) -> FloatArray:
        return (self.led & self.own)[rows].astype(np.float64)

    def expected(self, appealing: FloatArray, rows: IntArray) -> FloatArray:
        """Satisfaction [N, R] averaged over whether the reply has a lead."""
        share = agents.ECHOED * self.own[rows, None]
        led, plain = satisfaction(appealing, kindred=True), satisfaction(appealing, kindred=False)
        return np.asarray(share * led + (1.0 - share) * plain)

    def spoken(self, texts: NDArray[np.object_]) -> NDArray[np.object_]:
        for row in np.flatnonzero(self.led):
            lead = leads()[self.manner[row]][self.pick[row]]
            texts[row] = f"{lead} {texts[row]}"
        return texts


def _repeated(cost: FloatArray, recent: IntArray) -> FloatArray:
    """Dislike [N, R] of each reply after the remembered ones [N, H]; -1 remembers nothing."""
    padded = np.vstack([cost, np.zeros(len(cost))])
    return np.asarray(padded[recent].max(axis=1))

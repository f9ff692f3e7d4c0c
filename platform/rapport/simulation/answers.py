"""What the logged agents answer: the arm drawn, its words, and what every arm was worth."""

from dataclasses import dataclass

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


@dataclass(frozen=True)
class Answers:
    """What N users were answered, and what they made of it; the columns of a step."""

    reply: NDArray[np.object_]
    arm: IntArray
    """Index into the agent's served menu, `agents.CONTROL` for control users."""
    probabilities: FloatArray
    """[N, A] of the logging policy; columns an agent lacks are 0."""
    expected: FloatArray
    """[N, A] true expected reward of every arm; columns an agent lacks are NaN."""
    expected_plain: FloatArray
    heard: Heard

    @classmethod
    def blank(cls, count: int, *, arms: int) -> "Answers":
        """Room for `count` users and the longest menu's number of arms."""
        return cls(
            reply=np.empty(count, dtype=np.object_),
            arm=np.full(count, agents.CONTROL, dtype=np.int64),
            probabilities=np.zeros((count, arms)),
            expected=np.full((count, arms), np.nan),
            expected_plain=np.zeros(count),
            heard=Heard(np.zeros(count), np.zeros(count), np.zeros(count, dtype=np.int64)),
        )

    def give(
        self, rows: IntArray, known: agents.Replies, *, taken: IntArray, probabilities: FloatArray
    ) -> None:
        """Write down which of the known replies the users at `rows` were given."""
        self.reply[rows] = np.array(known.texts, dtype=np.object_)[taken]
        self.arm[rows] = known.arm[taken]
        self.probabilities[rows, : probabilities.shape[1]] = probabilities
        self.heard.clickable[rows] = clickable(known.reading.marks[taken])
        self.heard.words[rows] = known.reading.length[taken]

    def judge(
        self,
        rows: IntArray,
        known: agents.Replies,
        *,
        taken: IntArray,
        appealing: FloatArray,
        echo: "_Echo",
    ) -> None:
        """Write down what they made of it, and what they would have made of every arm."""
        given = appealing[np.arange(len(rows)), taken]
        self.heard.felt[rows] = satisfaction(given, kindred=echo.kindred(rows))
        worth = echo.expected(appealing, rows) @ known.share.T
        self.expected[rows, : worth.shape[1]] = worth
        # Control users are never echoed, hence the plain reply is never kindred.
        self.expected_plain[rows] = satisfaction(appealing, kindred=False) @ known.plain


def answer(
    minds: Minds,
    now: Now,
    wording: Wording,
    *,
    config: SimulationConfig,
    rng: np.random.Generator,
) -> Answers:
    """Answer every user once, and add the replies to what the users remember.

    Cost O(N * R) for the R replies of an agent on a topic: all of them are judged, since the
    truth holds every arm's average.
    """
    widest = max(len(agents.served_arms(agent_id)) for agent_id in config.agents)
    answers = Answers.blank(len(minds), arms=widest)
    liking = minds.liking(now.mood)
    echo = _Echo.draw(minds, wording, rng=rng)
    for rows, agent_id, topic in together(now, config=config):
        known = agents.replies(agent_id, topic)
        repeated = _repeated(known.repeated, now.recent[rows])
        appealing = appeal(liking[rows], known.reading, repeated=repeated)
        # The agent sees the mood that the words show, never the hidden one.
        probabilities = agents.logging_probabilities(
            agent_id, mood=wording.mood[rows] - 1, exchange=now.exchange[rows], floor=config.floor
        )
        drawn = agents.draw(probabilities, rng=rng)
        arm = np.where(minds.control[rows], agents.CONTROL, drawn)
        taken = agents.draw((known.arm == arm[:, None]).astype(np.float64), rng=rng)
        answers.give(rows, known, taken=taken, probabilities=probabilities)
        answers.judge(rows, known, taken=taken, appealing=appealing, echo=echo)
        now.recent[rows] = np.stack([taken, now.recent[rows, 0]], axis=1)
    echo.speak(answers.reply)
    return answers


@dataclass(frozen=True)
class _Echo:
    """Leads of N replies: the `manner` [N] each could echo, whether it `led` [N], `own` manner."""

    manner: IntArray
    led: NDArray[np.bool_]
    own: NDArray[np.bool_]
    pick: IntArray

    @classmethod
    def draw(cls, minds: Minds, wording: Wording, *, rng: np.random.Generator) -> "_Echo":
        """Draw which of N replies echo the manner their message opened in."""
        manner = wording.manner[:, SLOTS.index("opener")]
        echoed = rng.random(len(minds)) < agents.ECHOED
        return cls(
            manner=manner,
            led=echoed & (manner > 0) & ~minds.control,
            own=manner == minds.persona + 1,
            pick=rng.integers(0, 2, len(minds)),
        )

    def kindred(self, rows: IntArray) -> FloatArray:
        """1 where the reply given opens in the manner of the user's persona."""
        return (self.led & self.own)[rows].astype(np.float64)

    def expected(self, appealing: FloatArray, rows: IntArray) -> FloatArray:
        """Satisfaction [N, R] averaged over whether the reply has a lead."""
        share = agents.ECHOED * self.own[rows, None]
        led, plain = satisfaction(appealing, kindred=True), satisfaction(appealing, kindred=False)
        return np.asarray(share * led + (1.0 - share) * plain)

    def speak(self, texts: NDArray[np.object_]) -> None:
        """Put the leads before the replies they were drawn for."""
        for row in np.flatnonzero(self.led):
            lead = leads()[self.manner[row]][self.pick[row]]
            texts[row] = f"{lead} {texts[row]}"


def _repeated(cost: FloatArray, recent: IntArray) -> FloatArray:
    """Dislike [N, R] of each reply after the remembered ones [N, H]; -1 remembers nothing."""
    # Index -1 takes the row appended here, which costs nothing.
    padded = np.vstack([cost, np.zeros(len(cost))])
    return np.asarray(padded[recent].max(axis=1))

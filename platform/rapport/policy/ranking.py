"""Ranking candidate replies with a release, as a library: no server, no store, nothing is kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rapport.affect.conversations import spoken
from rapport.affect.curve import curve
from rapport.affect.scorers import EMOTIONS, AffectScorer, load_scorer
from rapport.affect.strategy import StrategyScorer
from rapport.arms import DEFAULT_AGENT, load_menu
from rapport.errors import ConfigError, DataError
from rapport.governance.guard import Guard
from rapport.personas.model import PersonaModel
from rapport.policy.features import NO_ARM, Situation, group_emotions
from rapport.policy.policy import Policy
from rapport.release import current, verify
from rapport.text import TextEncoder, load_encoder
from rapport.users.encoder import UserEncoder

Messages = Sequence[Mapping[str, str]]


@dataclass(frozen=True)
class Ranked:
    """One candidate, and what the release makes of it."""

    text: str
    arm: str
    """Kind of reply that the text shows most."""
    probability: float
    """With which serving would draw it; 0 where the guard keeps it out."""
    rec: float | None
    """How well it should be received, in (0, 1]; none where the guard keeps it out."""
    guard: str | None = None
    """Rule that keeps it out."""


@dataclass(frozen=True)
class Ranking:
    """Candidates, best first, and who the user seems to be."""

    options: tuple[Ranked, ...]
    """None in a crisis: then nothing is chosen, see `governance.guard.crisis_reply`."""
    personas: Mapping[str, float]
    """Probability of each persona, likeliest first."""
    crisis: bool = False


@dataclass(frozen=True)
class OpenRelease:
    """A release, read and verified; threads may share it."""

    release_id: str
    policy: Policy
    personas: PersonaModel
    users: UserEncoder
    strategies: StrategyScorer
    encoder: TextEncoder
    affect: AffectScorer
    guard: Guard

    def rank(
        self,
        conversation: str | Messages,
        candidates: Sequence[str],
        *,
        nlp: Sequence[float] | None = None,
        agent: str = DEFAULT_AGENT,
    ) -> Ranking:
        """Rank finished replies to what a user said last, as `POST /v1/rank` does for a newcomer.

        About 20 ms for each message of the user's, and as much for the candidates.

        Args:
            conversation: The user's message, or all messages up to it, oldest first.
            candidates: Replies to choose among, at least one.
            nlp: How well each fits its context, in (0, 1]; default 1 each.
            agent: Whose menu of kinds of reply counts.

        Raises:
            DataError: No candidate is given, the conversation does not end in a user's message, or
                `nlp` is of another length.
            UnknownNameError: There is no such agent.
        """
        said = spoken(_messages(conversation))
        if not said or said[-1][0] != "user":
            raise DataError("the conversation has no last message of a user", "end it in one")
        if not candidates or (nlp is not None and len(nlp) != len(candidates)):
            raise DataError(f"{len(candidates)} candidates", "give one or more, with one nlp each")
        texts = [text for role, text in said if role == "user"]
        vectors = self.encoder.encode(texts)
        case = self._situation(texts, vectors, agent=agent, turn=len(said))
        personas = _ordered(self.personas.names, case.posterior[0])
        if any(verdict.kind == "crisis" for verdict in self.guard.check_inputs(texts)):
            return Ranking((), personas, crisis=True)
        fit = np.ones(len(candidates)) if nlp is None else np.asarray(nlp, dtype=np.float64)
        return Ranking(self._options(case, candidates, fit, agent=agent), personas)

    def arms(
        self, conversation: str | Messages, *, agent: str = DEFAULT_AGENT
    ) -> tuple[dict[str, float], dict[str, float]]:
        """What kind of reply the policy would give a newcomer, nothing left to chance beyond it.

        Returns:
            Probability of each served arm, and of each persona, likeliest first; both as serving
            has them where it may not explore.

        Raises:
            DataError: The conversation does not end in a user's message.
            UnknownNameError: There is no such agent.
        """
        said = spoken(_messages(conversation))
        if not said or said[-1][0] != "user":
            raise DataError("the conversation has no last message of a user", "end it in one")
        texts = [text for role, text in said if role == "user"]
        case = self._situation(texts, self.encoder.encode(texts), agent=agent, turn=len(said))
        scores = self.policy.decide(case, explore=np.array([False]))
        served = [arm.name for arm in load_menu(agent).served]
        chance = scores.probability[0, self.policy.layout.arm_index(served)]
        return _ordered(served, chance), _ordered(self.personas.names, case.posterior[0])

    def _situation(
        self, texts: Sequence[str], vectors: NDArray[np.float32], *, agent: str, turn: int
    ) -> Situation:
        user = self.users.empty()
        for place, vector in enumerate(vectors):
            gone = 0.0 if place else None
            user = self.users.observe(user, kind="message", elapsed_s=gone, turn_vector=vector)
        parts = self.users.parts(user[None])
        emotion = self.affect.emotion(texts, vectors)[-1:]
        sentiment = self.affect.sentiment(texts, vectors)
        layout = self.policy.layout
        return Situation(
            posterior=self.personas.posterior(parts.mean, parts.n, parts.features, emotion),
            n_eff=parts.n,
            sentiment=sentiment[-1:],
            curve=curve(sentiment)[-1:],
            emotion=group_emotions(emotion, EMOTIONS),
            turn_index=np.array([turn]),
            agent=layout.agent_index([agent]),
            previous_arm=np.array([NO_ARM]),
            message=vectors[-1:],
        )

    def _options(
        self, case: Situation, candidates: Sequence[str], nlp: NDArray[np.float64], *, agent: str
    ) -> tuple[Ranked, ...]:
        layout, served = self.policy.layout, load_menu(agent).served
        shown = np.zeros((len(candidates), len(layout.arms)))
        read = self.strategies.predict(candidates, self.encoder.encode(candidates))
        shown[:, layout.arm_index(self.strategies.arms)] = read
        columns = layout.arm_index([arm.name for arm in served])
        arms = [served[i] for i in shown[:, columns].argmax(axis=1)]
        faults = [self.guard.check_output(text) for text in candidates]
        free = [i for i, fault in enumerate(faults) if fault.safe]
        probability, rec = np.zeros(len(candidates)), np.full(len(candidates), np.nan)
        if free:
            scores = self.policy.rank(
                case,
                nlp[None, free],
                shares=shown[free].astype(np.float32),
                safe=np.array([[arms[i].safe_to_explore for i in free]]),
            )
            probability[free], rec[free] = scores.probability[0], scores.rec[0]
        return tuple(
            Ranked(
                text=candidates[i],
                arm=arms[i].name,
                probability=float(probability[i]),
                rec=None if np.isnan(rec[i]) else float(rec[i]),
                guard=None if faults[i].safe else f"{faults[i].kind}:{faults[i].rule}",
            )
            for i in np.argsort(-probability, kind="stable")
        )


def open_release(path: Path | str, *, encoder: TextEncoder | None = None) -> OpenRelease:
    """Open the release that serves in a home, or the one in a release's own folder.

    Args:
        path: Home, or folder of a release.
        encoder: Default the project's own, loaded once a process.

    Raises:
        ConfigError: Nothing was promoted there, the release holds no policy, or it was made with
            another encoder.
        BrokenReleaseError: Its files are not what its manifest says.
    """
    path = Path(path)
    releases = path / "releases"
    folder = current(releases) if releases.is_dir() else path
    if folder is None or not (folder / "policy").is_dir():
        raise ConfigError("release", str(path), "name a home with a promoted release, or a release")
    verify(folder)
    encoder, users = encoder or load_encoder(), UserEncoder.load(folder / "encoder")
    if users.encoder_id != encoder.encoder_id:
        remedy = f"the release was made with {users.encoder_id}: give that encoder"
        raise ConfigError("encoder", encoder.encoder_id, remedy)
    trained = folder.parents[1] / "models"
    return OpenRelease(
        release_id=folder.name,
        policy=Policy.load(folder / "policy"),
        personas=PersonaModel.load(folder / "personas"),
        users=users,
        strategies=StrategyScorer.load(folder / "strategies"),
        encoder=encoder,
        affect=load_scorer(trained, encoder_id=encoder.encoder_id),
        guard=Guard(encoder),
    )


def _ordered(names: Sequence[str], chance: NDArray[np.float64]) -> dict[str, float]:
    """Names with their probabilities, likeliest first."""
    return {names[i]: float(chance[i]) for i in np.argsort(-chance, kind="stable")}


def _messages(conversation: str | Messages) -> Messages:
    if isinstance(conversation, str):
        return [{"role": "user", "content": conversation}]
    return conversation

"""One logged decision: what could be chosen, what was, and with which probability."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rapport.arms import load_menu
from rapport.errors import RowError
from rapport.ingest.batch import Intake
from rapport.ingest.checks import TOLERANCE
from rapport.ingest.fields import MISSING, Record, identifier, numbers, real, text, whole

_NEAR = 1e-6
"""How far stated numbers may be from each other: single precision, or six written digits."""
_NOT_SUMMING = "do not sum to 1"
_NOT_TAKEN = "is not the taken candidate's probability"

Candidate = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """N candidates with their probabilities, and the one taken."""

    candidates: Sequence[Candidate]
    taken: int
    filled: bool
    """Whether only the taken one's probability was logged and the rest dealt evenly."""

    @property
    def arm(self) -> str | None:
        """Arm of the one taken."""
        arm: str | None = self.candidates[self.taken]["arm"]
        return arm


def parse_choice(record: Record, intake: Intake, *, agent_id: str) -> Choice:
    """Read the candidates of a record and the one taken; its probability stays as it was logged.

    Candidates stand in `candidates`, or side by side in `candidate_arms`,
    `candidate_probabilities` and `candidate_texts`. Where there are none, `arm` and `propensity`
    are the one taken, and the other served arms of the agent's menu share the rest evenly.

    Raises:
        RowError: They are missing, or do not fit each other.
    """
    given = _candidates(record, intake)
    propensity = _propensity(record)
    if not given:
        return _only_taken(record, intake, agent_id=agent_id, propensity=propensity)
    taken = _taken(record, given, intake)
    stated = [candidate["probability"] for candidate in given]
    if any(not 0.0 <= one <= 1.0 for one in stated):
        raise RowError("candidates.probability", "is outside 0 to 1")
    if abs(sum(stated) - 1.0) > _NEAR:
        raise RowError("candidates.probability", _NOT_SUMMING)
    exact = stated[taken] if propensity is None else propensity
    if abs(exact - stated[taken]) > _NEAR:
        raise RowError("propensity", _NOT_TAKEN)
    for candidate, share in zip(given, _fitted(stated, taken, exact), strict=True):
        candidate["probability"] = share
    return Choice(given, taken, filled=False)


def _fitted(stated: Sequence[float], taken: int, exact: float) -> list[float]:
    """The taken one's probability as logged, the others scaled so that all sum to 1.

    What sums to 1 already, as closely as the table asks, stays to the last bit.
    """
    if exact == stated[taken] and abs(sum(stated) - 1.0) <= TOLERANCE:
        return list(stated)
    rest = sum(stated) - stated[taken]
    factor = (1.0 - exact) / rest if rest > 0 else 1.0
    return [exact if i == taken else share * factor for i, share in enumerate(stated)]


def _candidates(record: Record, intake: Intake) -> list[Candidate]:
    given = record.get("candidates")
    if given is None:
        given = _side_by_side(record)
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise RowError("candidates", "are not a list of objects")
    return [_candidate(one, intake) for one in given]


def _side_by_side(record: Record) -> list[dict[str, Any]]:
    arms = record.get("candidate_arms")
    if arms is None:
        return []
    chances, texts = record.get("candidate_probabilities"), record.get("candidate_texts")
    if not isinstance(arms, list):
        raise RowError("candidate_arms", "are not a list")
    for name, column in (("candidate_probabilities", chances), ("candidate_texts", texts)):
        if column is not None and (not isinstance(column, list) or len(column) != len(arms)):
            raise RowError(name, "are not as many as candidate_arms")
    if chances is None:
        raise RowError("candidate_probabilities", MISSING)
    said = texts or [None] * len(arms)
    return [
        {"arm": arm, "probability": chance, "text": one}
        for arm, chance, one in zip(arms, chances, said, strict=True)
    ]


def _candidate(given: dict[str, Any], intake: Intake) -> Candidate:
    arm = _arm(given, "arm", intake, where="candidates.arm")
    probability = real(given, "probability", where="candidates.probability")
    if probability is None:
        raise RowError("candidates.probability", MISSING)
    return {
        "arm": arm,
        "text": text(given, "text", where="candidates.text"),
        "probability": probability,
        "nlp_score": real(given, "nlp_score", where="candidates.nlp_score"),
        "rec_score": real(given, "rec_score", where="candidates.rec_score"),
        "candidate_id": identifier(given, "candidate_id", where="candidates.candidate_id"),
        "features": numbers(given, "features") or None,
    }


def _propensity(record: Record) -> float | None:
    propensity = real(record, "propensity")
    if propensity is not None and not 0.0 < propensity <= 1.0:
        raise RowError("propensity", "is outside 0 to 1, or 0")
    return propensity


def _taken(record: Record, given: Sequence[Candidate], intake: Intake) -> int:
    index = whole(record, "action_index")
    if index is None:
        arm = _arm(record, "arm", intake, where="arm")
        if arm is None:
            raise RowError("action_index", MISSING)
        same = [i for i, candidate in enumerate(given) if candidate["arm"] == arm]
        if len(same) != 1:
            raise RowError("arm", "names no single candidate")
        return same[0]
    if index >= len(given):
        raise RowError("action_index", "names no candidate")
    return index


def _only_taken(
    record: Record, intake: Intake, *, agent_id: str, propensity: float | None
) -> Choice:
    arm = _arm(record, "arm", intake, where="arm")
    if arm is None:
        raise RowError("candidates", "are missing, and so is arm")
    if propensity is None:
        raise RowError("propensity", MISSING)
    names = [one.name for one in load_menu(agent_id).served]
    names += [] if arm in names else [arm]
    rest = (1.0 - propensity) / max(len(names) - 1, 1)
    shares = [propensity if name == arm else rest for name in names]
    if len(names) == 1 and propensity < 1.0:
        raise RowError("propensity", "is below 1 with a single arm")
    candidates: list[Candidate] = [
        {"arm": name, "text": None, "probability": share}
        for name, share in zip(names, shares, strict=True)
    ]
    return Choice(candidates, names.index(arm), filled=True)


def _arm(record: Record, name: str, intake: Intake, *, where: str) -> str | None:
    arm = text(record, name, where=where)
    return intake.mapping.arms.get(arm or "", arm)

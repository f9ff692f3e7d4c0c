"""A policy as a release holds it: scores and exact probabilities of arms, from plain arrays."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from rapport.errors import BrokenReleaseError
from rapport.evaluation.calibration import Bin
from rapport.policy.behaviour import Behaviour
from rapport.policy.context_model import CALIBRATION_FILE, ContextModel
from rapport.policy.features import (
    BoolArray,
    Float32Array,
    FloatArray,
    Layout,
    Situation,
    states,
)
from rapport.policy.learning import Learning
from rapport.policy.preference_model import PreferenceModel
from rapport.policy.reward_model import RewardModel

WEIGHTS, SETTINGS, INCUMBENT = "policy.safetensors", "policy.json", "incumbent"
NOBODY = "everyone"
"""The one persona there is without a release."""
FORMAT = 1
NO_OPINION = 0.5
"""rec of an expected reward of 0, and of every arm where no reward model was trained."""


class ArmScorer(Protocol):
    """What a learner leaves: a score in (0, 1] for each arm or candidate in a state."""

    @property
    def layout(self) -> Layout:
        """Names of the columns it was trained on."""
        ...

    @property
    def weights(self) -> Mapping[str, NDArray[Any]]:
        """Its arrays by name."""
        ...

    @property
    def learning(self) -> Learning | None:
        """How its training went."""
        ...

    def rec(
        self, state: Float32Array, mask: BoolArray, shares: Float32Array | None = None
    ) -> FloatArray:
        """[N, M] how well each candidate should be received, in (0, 1]."""
        ...


LEARNERS: Mapping[str, type[RewardModel] | type[PreferenceModel]] = {
    "reward_model": RewardModel,
    "marwil": PreferenceModel,
}
Learner = Literal["reward_model", "marwil", "uniform"]


@dataclass(frozen=True)
class Scores:
    """What was thought of N decisions; columns are arms (or candidates), 0 probability outside."""

    nlp: FloatArray
    rec: FloatArray
    probability: FloatArray
    """[N, M] float64, the very numbers to draw from and to log."""


@dataclass(frozen=True)
class Policy:
    """Scores arms and turns the scores into probabilities.

    Immutable, a few hundred kilobytes; one decision costs about .1 ms. Personas in
    `withheld` are answered by `incumbent`: the gate had too little data to judge this policy there.
    """

    layout: Layout
    behaviour: Behaviour
    learner: Learner
    context: ContextModel | None = None
    scorer: ArmScorer | None = None
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Settings it was trained with; enough to train it again without a search."""
    withheld: tuple[str, ...] = ()
    incumbent: "Policy | None" = None

    @property
    def arms(self) -> tuple[str, ...]:
        """Arm names in column order."""
        return self.layout.arms

    @cached_property
    def id(self) -> str:
        """16 hex digits of sha256 over weights and settings: the `policy_id` of decisions."""
        return hashlib.sha256(self._packed() + _canonical(self._settings())).hexdigest()[:16]

    def decide(
        self,
        situation: Situation,
        *,
        mask: BoolArray | None = None,
        explore: BoolArray | None = None,
    ) -> Scores:
        """Score the arms of N decisions and give each its probability.

        Args:
            situation: What is known before the replies.
            mask: [N, A] arms that remain after vetoes; absent, the agents' served arms.
            explore: [N] False in distress, crisis or for a protected user; absent, all True.
        """
        mask = self.layout.served(situation.agent) if mask is None else mask
        nlp, rec = self._nlp(situation, mask=mask), self._rec(situation, mask=mask)
        safe = self.layout.safe(situation.agent)
        probability = self.behaviour.probabilities(nlp, rec, mask=mask, safe=safe, explore=explore)
        scores = Scores(nlp, rec, probability)
        held = self._held(situation)
        if self.incumbent is None or not held.any():
            return scores
        kept = None if explore is None else explore[held]
        older = self.incumbent.decide(situation.rows(held), mask=mask[held], explore=kept)
        return _overlaid(scores, older, rows=held)

    def rank(
        self,
        situation: Situation,
        nlp: FloatArray,
        *,
        shares: Float32Array,
        safe: BoolArray | None = None,
        explore: BoolArray | None = None,
    ) -> Scores:
        """Score M finished candidates of one decision, as mode `rerank` does.

        Args:
            situation: One row.
            nlp: [1, M] fit of each text to its context, in (0, 1].
            shares: [M, A] share of each arm that each text shows.
            safe: [1, M] candidates safe to explore; absent, all.
            explore: [1] False where nothing may be left to chance.
        """
        mask = np.ones(nlp.shape, dtype=bool)
        rec = np.full(nlp.shape, NO_OPINION)
        if self.scorer is not None:
            rec = self.scorer.rec(states(self.layout, situation), mask, shares)
        probability = self.behaviour.probabilities(nlp, rec, mask=mask, safe=safe, explore=explore)
        return Scores(nlp, rec, probability)

    def withholding(self, personas: Sequence[str], incumbent: "Policy") -> "Policy":
        """This policy, but with the incumbent's choices for some personas.

        An incumbent of other personas cannot be asked about these; uniform arms answer then.
        """
        if not personas:
            return self
        same = incumbent.layout == self.layout
        return replace(
            self,
            withheld=tuple(sorted(personas)),
            incumbent=incumbent if same else uniform_policy(self.layout),
        )

    def nlp_alone(self) -> "Policy":
        """This policy without its expected rewards: what fits the context best is likeliest."""
        return replace(self, learner="uniform", scorer=None, withheld=(), incumbent=None)

    def save(self, folder: Path) -> str:
        """Write weights and settings, and how both models were learned; returns the id."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WEIGHTS).write_bytes(self._packed())
        text = json.dumps({"id": self.id, **self._settings()}, indent=1, sort_keys=True)
        (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")
        if self.context is not None and self.context.calibration:
            bins = {"nlp": [asdict(each) for each in self.context.calibration]}
            (folder / CALIBRATION_FILE).write_text(json.dumps(bins, indent=1), encoding="utf-8")
        if self.scorer is not None and self.scorer.learning is not None:
            self.scorer.learning.save(folder)
        if self.incumbent is not None:
            self.incumbent.save(folder / INCUMBENT)
        return self.id

    @classmethod
    def load(cls, folder: Path) -> "Policy":
        """Read a policy back and check that it is what its id says.

        Raises:
            BrokenReleaseError: A file is missing, unreadable or not what was saved.
        """
        try:
            stated = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
            arrays = load_file(folder / WEIGHTS)
            policy = _restored(
                stated,
                arrays,
                incumbent=_incumbent(folder, stated),
                learning=Learning.load(folder),
            )
            policy = _with_calibration(policy, folder / CALIBRATION_FILE)
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise BrokenReleaseError(folder.name, SETTINGS, type(error).__name__) from error
        if policy.id != stated["id"]:
            raise BrokenReleaseError(folder.name, WEIGHTS, "its content is not what was saved")
        return policy

    def _nlp(self, situation: Situation, *, mask: BoolArray) -> FloatArray:
        if self.context is None:
            even = 1.0 / mask.sum(axis=1, keepdims=True)
            return np.broadcast_to(even, mask.shape).copy()
        return self.context.nlp(situation, mask)

    def _rec(self, situation: Situation, *, mask: BoolArray) -> FloatArray:
        if self.scorer is None:
            return np.full(mask.shape, NO_OPINION)
        return self.scorer.rec(states(self.layout, situation), mask)

    def _held(self, situation: Situation) -> BoolArray:
        names = np.array(self.layout.personas, dtype=np.str_)
        return np.isin(names[situation.posterior.argmax(axis=1)], self.withheld)

    def _packed(self) -> bytes:
        parts = {"context": self.context, "scorer": self.scorer}
        arrays = {
            f"{part}.{name}": np.ascontiguousarray(value)
            for part, model in parts.items()
            if model is not None
            for name, value in sorted(model.weights.items())
        }
        return bytes(save(arrays))

    def _settings(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "learner": self.learner,
            "layout": asdict(self.layout),
            "behaviour": asdict(self.behaviour),
            "recipe": dict(self.recipe),
            "withheld": list(self.withheld),
            "incumbent": self.incumbent.id if self.incumbent else None,
        }


def uniform_policy(layout: Layout) -> Policy:
    """The first incumbent: every arm that is safe to explore equally likely."""
    return Policy(layout=layout, behaviour=Behaviour(), learner="uniform")


def _overlaid(scores: Scores, older: Scores, *, rows: BoolArray) -> Scores:
    merged = {}
    for name, value in vars(scores).items():
        merged[name] = value.copy()
        merged[name][rows] = getattr(older, name)
    return Scores(**merged)


def _restored(
    stated: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    incumbent: Policy | None,
    learning: Learning | None,
) -> Policy:
    layout = Layout(**{name: tuple(value) for name, value in stated["layout"].items()})
    learner = stated["learner"]
    context = {k.removeprefix("context."): v for k, v in arrays.items() if k.startswith("context.")}
    scorer = {k.removeprefix("scorer."): v for k, v in arrays.items() if k.startswith("scorer.")}
    return Policy(
        layout=layout,
        behaviour=Behaviour(**stated["behaviour"]),
        learner=learner,
        context=ContextModel(layout, context) if context else None,
        scorer=LEARNERS[learner](layout, scorer, learning) if scorer else None,
        recipe=stated["recipe"],
        withheld=tuple(stated["withheld"]),
        incumbent=incumbent,
    )


def _with_calibration(policy: Policy, path: Path) -> Policy:
    """The policy with its curve, which earlier releases did not keep."""
    if policy.context is None or not path.exists():
        return policy
    bins = json.loads(path.read_text(encoding="utf-8"))["nlp"]
    context = replace(policy.context, calibration=tuple(Bin(**each) for each in bins))
    return replace(policy, context=context)


def _incumbent(folder: Path, stated: Mapping[str, Any]) -> Policy | None:
    return Policy.load(folder / INCUMBENT) if stated["incumbent"] else None


def _canonical(settings: Mapping[str, Any]) -> bytes:
    return json.dumps(settings, sort_keys=True).encode()

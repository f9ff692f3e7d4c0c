"""What a candidate is held against: the incumbent, the first release, the generator of the log."""

from pathlib import Path

import numpy as np
import polars as pl

from rapport.errors import BrokenReleaseError
from rapport.evaluation.evidence import NO_OLDER
from rapport.evaluation.intervals import FloatArray
from rapport.evaluation.verdict import Change
from rapport.home import Home
from rapport.lake import Lake
from rapport.language.settings import PROMPT_FILE
from rapport.pipeline.policies import load_dataset
from rapport.pipeline.ports import digest_tree
from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import BoolArray, Layout
from rapport.policy.policy import Policy, uniform_policy
from rapport.release import current, folder_id, list_releases

_NO_OTHER = 1e-6
"""Probability by which two policies may differ and be one: weights are float32."""
_READERS = ("encoder", "personas")  # parts that decide what a policy sees of a decision


def incumbent_of(home: Home, layout: Layout) -> Policy | None:
    """The policy that serves, at first the evenly drawn arms.

    None where the serving one knows other personas: it cannot be asked about these.
    """
    serving = current(home.releases)
    if serving is None:
        return uniform_policy(layout)
    incumbent = Policy.load(serving / "policy")
    return incumbent if incumbent.layout == layout else None


def probabilities(policy: Policy, rows: PolicyDataset) -> FloatArray:
    """[N, A] probabilities a policy gives the arms on the rows of a dataset of its layout."""
    return policy.decide(rows.situation, mask=rows.mask, explore=rows.explore).probability


def first_release(
    home: Home, lake: Lake, rows: PolicyDataset, *, candidate: Path, tenant: str
) -> tuple[FloatArray | None, str]:
    """[N, A] probabilities of the first release's policy on the candidate's rows, or why not.

    A first release that knew users by another encoder or other personas reads the log with its own.
    """
    listed = list_releases(home.releases)
    if not listed:
        return None, NO_OLDER
    if listed[0].manifest is None:
        return None, f"release {listed[0].release_id} cannot be read: {listed[0].fault}"
    folder = home.releases / listed[0].release_id
    try:
        policy = Policy.load(folder / "policy")
    except BrokenReleaseError as error:
        return None, str(error)
    if policy.layout == rows.layout and _same(folder, candidate, *_READERS):
        return probabilities(policy, rows), ""
    own = load_dataset(lake, home, tenant=tenant, release=folder)
    return placed(policy, own, rows)


def placed(
    policy: Policy, own: PolicyDataset, rows: PolicyDataset
) -> tuple[FloatArray | None, str]:
    """[N, A] probabilities a policy gives the arms of `rows`, reading them from its `own` dataset.

    Args:
        policy: Of the layout of `own`.
        own: The same log as other personas know it; rows are found by their decision.
        rows: N decisions.

    Returns:
        The probabilities, or none and why.
    """
    place = {decision: row for row, decision in enumerate(own.decision_id.tolist())}
    found = np.array([place.get(decision, -1) for decision in rows.decision_id.tolist()])
    if (found < 0).any():
        return None, f"it cannot read {int((found < 0).sum())} of the decisions"
    if not set(policy.layout.arms) <= set(rows.layout.arms):
        return None, "its menu holds arms that are gone"
    target = np.zeros((len(rows), len(rows.layout.arms)))
    target[:, rows.layout.arm_index(policy.layout.arms)] = probabilities(policy, own.rows(found))
    return target, ""


def other_generator(home: Home, facts: pl.DataFrame, *, candidate: Path) -> BoolArray | None:
    """[N] replies that other adapters, prompts or another upstream wrote than the candidate's.

    None where there are none.

    Args:
        home: Its releases wrote some of the replies.
        facts: N rows with the `release_id` that answered, null for a foreign log.
        candidate: Its folder.
    """
    used = facts["release_id"].unique().drop_nulls().to_list()
    same = [name for name in used if _same_generator(home.releases / name, candidate)]
    other = ~facts["release_id"].is_in(same).fill_null(value=False).to_numpy()
    return np.asarray(other) if other.any() else None


def change_of(
    home: Home, rows: PolicyDataset, *, candidate: Path, policy: Policy, incumbent: Policy | None
) -> Change:
    """What a candidate changes beside the release that serves; both where none serves.

    Policies are one where they give every arm of the log the same probability, whatever weights
    that comes from; generators where adapters, prompts and upstream are the same.

    Args:
        home: Its release serves.
        rows: Decisions to compare the policies on.
        candidate: Its folder.
        policy: As it would serve.
        incumbent: What serves; none where it knows other personas.
    """
    serving = current(home.releases)
    if serving is None:
        return "policy and generator"
    writes = _same_generator(serving, candidate)
    chooses = incumbent is not None and np.allclose(
        probabilities(policy, rows), probabilities(incumbent, rows), rtol=0.0, atol=_NO_OTHER
    )
    if chooses:
        return "nothing" if writes else "generator"
    return "policy" if writes else "policy and generator"


def _same_generator(folder: Path, other: Path) -> bool:
    """Whether two releases write alike: the same adapters, prompts and upstream."""
    if not _same(folder, other, "adapters"):
        return False
    return digest_tree(folder / PROMPT_FILE) == digest_tree(other / PROMPT_FILE)


def _same(folder: Path, other: Path, *parts: str) -> bool:
    return all(
        (folder / part).is_dir() and folder_id(folder / part) == folder_id(other / part)
        for part in parts
    )

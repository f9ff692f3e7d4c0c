"""The policy that a decision names, read from the release it was frozen in."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rapport.errors import BrokenReleaseError
from rapport.personas.model import PersonaModel
from rapport.policy.features import Layout
from rapport.policy.policy import NOBODY, Policy, uniform_policy


@dataclass(frozen=True)
class Found:
    """A policy, or why there is none."""

    policy: Policy | None
    missing: str | None = None


def find_policy(releases: Path, row: Mapping[str, Any]) -> Found:
    """Find the very policy that decided, by the id that its bytes give.

    Args:
        releases: Folder of releases.
        row: Of the table `decisions`.
    """
    wanted, release_id = row["policy_id"], row["release_id"]
    if wanted is None:
        return Found(None, "the decision names no policy")
    try:
        for policy in _held(releases / release_id if release_id else None):
            if policy.id == wanted:
                return Found(policy)
    except FileNotFoundError:
        return Found(None, f"release {release_id} does not lie in this home any more")
    except BrokenReleaseError as error:
        return Found(None, str(error))
    where = f"release {release_id} holds another" if release_id else "no release holds it"
    return Found(None, f"policy {wanted} is not here: {where}")


def _held(folder: Path | None) -> Iterator[Policy]:
    """Every policy that may have answered under a release: its own, or what stood in for it."""
    if folder is None:
        yield uniform_policy(Layout.of([NOBODY]))
        return
    if not folder.is_dir():
        raise FileNotFoundError(folder)
    if not (folder / "policy").is_dir():
        yield uniform_policy(Layout.of(PersonaModel.load(folder / "personas").names))
        return
    policy = Policy.load(folder / "policy")
    yield policy
    yield policy.nlp_alone()
    yield uniform_policy(policy.layout)

"""The calibration curves that a release keeps: of `nlp` before a reply is written, and after."""

import json
from pathlib import Path
from typing import Any

from rapport.evaluation.calibration import Bin, calibration_error
from rapport.language.discriminator import ReplyDiscriminator
from rapport.pipeline.finishing import DISCRIMINATOR_FILE
from rapport.policy.context_model import CALIBRATION_FILE


def calibrations(folder: Path) -> dict[str, dict[str, Any]]:
    """Read a release's curves, each measured on users its model did not learn from.

    Returns:
        By what is said: `arm_given_context` (mode `arm_first`) and `reply_given_context` (mode
        `rerank`), each `error`, `n` and `bins` of `predicted`, `observed`, `n`; one that the
        release does not hold is left out.
    """
    found: dict[str, tuple[Bin, ...]] = {}
    arms = folder / "policy" / CALIBRATION_FILE
    if arms.exists():
        rows = json.loads(arms.read_text(encoding="utf-8"))["nlp"]
        found["arm_given_context"] = tuple(Bin(**row) for row in rows)
    replies = folder / "adapters" / DISCRIMINATOR_FILE
    if replies.exists():
        found["reply_given_context"] = ReplyDiscriminator.load(replies).calibration
    return {name: _told(bins) for name, bins in found.items() if bins}


def _told(bins: tuple[Bin, ...]) -> dict[str, Any]:
    return {
        "error": calibration_error(bins),
        "n": sum(each.n for each in bins),
        "bins": [vars(each) for each in bins],
    }

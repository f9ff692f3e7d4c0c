"""Our figures beside the Open Bandit Pipeline's on one log, made by tests/bench/obp_peer.py."""

from pathlib import Path

import numpy as np
import pytest

from rapport.evaluation.choosing import chosen_clip, chosen_threshold, slope
from rapport.evaluation.concentration import student_t
from rapport.evaluation.estimators import Crossing, Log
from rapport.evaluation.marginal import by_arm, marginalised

KEPT = dict(np.load(Path(__file__).parent / "obp_figures.npz"))
THEIRS = dict(zip(KEPT["names"].tolist(), KEPT["values"].tolist(), strict=True))
LOG = Log(
    KEPT["action"],
    KEPT["reward"],
    KEPT["propensity"],
    np.arange(len(KEPT["reward"])),
    probabilities=KEPT["logging"],
)
CROSSING = Crossing(LOG, KEPT["target"], KEPT["q_hat"])
CLIP, THRESHOLD, CUTS = 5.0, 2.0, [1.0, 2.0, 4.0, 8.0, 1e9]


def by_arms() -> Crossing:
    log = marginalised(LOG, KEPT["arms"], arms=4)
    return Crossing(log, by_arm(KEPT["target"], KEPT["arms"], arms=4))


def dr_cut() -> float:
    return CUTS[slope([CROSSING.dr(clip=cut) for cut in CUTS])]


OURS = {
    "ips": lambda: CROSSING.ips().value,
    "clipped": lambda: CROSSING.ips(clip=CLIP).value,
    "snips": lambda: CROSSING.snips().value,
    "dm": lambda: CROSSING.direct().value,
    "dr": lambda: CROSSING.dr().value,
    "sndr": lambda: CROSSING.sndr().value,
    "switch_dr": lambda: CROSSING.switch_dr(threshold=THRESHOLD).value,
    "mips": lambda: by_arms().ips().value,
    "snmips": lambda: by_arms().snips().value,
    "student_lower": lambda: student_t(CROSSING.ips()).low,
    "ips_cut": lambda: chosen_clip(CROSSING, CUTS),
    "ips_tuned": lambda: CROSSING.ips(clip=chosen_clip(CROSSING, CUTS)).value,
    "dr_cut": dr_cut,
    "dr_tuned": lambda: CROSSING.dr(clip=dr_cut()).value,
    "switch_dr_cut": lambda: chosen_threshold(CROSSING, CUTS),
    "switch_dr_tuned": lambda: CROSSING.switch_dr(threshold=chosen_threshold(CROSSING, CUTS)).value,
}


@pytest.mark.parametrize("name", OURS)
def test_we_agree_with_the_open_bandit_pipeline(name):
    assert OURS[name]() == pytest.approx(THEIRS[name], abs=1e-9)


def test_nothing_of_theirs_is_left_out():
    assert OURS.keys() == THEIRS.keys()

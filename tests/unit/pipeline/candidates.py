"""Homes with judged candidates, made by hand: what a promotion needs and nothing slow."""

import json
from dataclasses import asdict
from pathlib import Path

from rapport.evaluation.verdict import GateSettings, Row
from rapport.home import Home
from rapport.lake import Lake
from rapport.policy.behaviour import Behaviour
from rapport.policy.features import Layout
from rapport.policy.policy import Policy, uniform_policy
from rapport.release import current, stage

PERSONAS = ("dry-01", "warm-02")
LAYOUT = Layout.of(PERSONAS)
REASON = "persona/dry-01 (dr): lower bound -0.0500 is not above -0.02"


def a_policy(*, temperature=1.0, layout=LAYOUT):
    """Even arms; another temperature gives it another id."""
    return Policy(layout, Behaviour(temperature=temperature), "uniform")


def a_verdict(policy, *, promoted=True, incumbent=None, too_little=()):
    """`verdict.json` as `judge` writes it, as far as promotions and tables read it."""
    value = {"value": 0.1, "low": 0.05, "high": 0.15}
    row = Row("overall", "dr", "passed", 900, 90, 400.0, 0.05, 0.01, 0.03, 0.07, 0.0)
    return {
        "policy": policy.id,
        "incumbent": (incumbent or uniform_policy(policy.layout)).id,
        "promoted": promoted,
        "reasons": [] if promoted else [REASON],
        "too_little_data": list(too_little),
        "rows": [asdict(row)],
        "settings": asdict(GateSettings()),
        "n": 1000,
        "reported": 900,
        "needed_n": None,
        "values": {"snips": value, "dr": value, "logging": value},
        "sample": {"ess": 400.0, "ess_needed": 200.0, "max_weight": 9.0, "max_weight_allowed": 100},
        "reporting_rates": {"question": 0.9},
        "error_rates": {"false_promotion": 0.05, "detectable_gain": 0.02, "false_refusal": 0.3},
        "sources": {"serve": {"n": 900.0, "users": 90.0, "ess": 400.0}},
        "notes": [],
    }


def a_home(tmp_path):
    home = Home(tmp_path / "home")
    home.releases.mkdir()
    return home, Lake(home.lake)


def a_candidate(home, policy, *, verdict=None, cards="{}"):
    """Stage a candidate, with its verdict where one is given; returns its folder."""
    work = Path(home.work) / "made"
    for name in ("encoder", "personas", "strategies", "adapters"):
        (work / name).mkdir(parents=True, exist_ok=True)
        (work / name / "facts.json").write_text(cards if name == "personas" else "{}")
    (work / "reward.json").write_text("{}")
    (work / "guard.json").write_text("{}")
    policy.save(work / "policy")
    staged = stage(work, home.releases)
    origins = home.work / "origins"
    origins.mkdir(exist_ok=True)
    origin = {"users": [], "seed": 3, "table_versions": {"decisions": 4}}
    (origins / f"{staged.name}.json").write_text(json.dumps(origin))
    if verdict is not None:
        stated = {"candidate": staged.name, **verdict}
        (staged / "verdict.json").write_text(json.dumps(stated))
    return staged


def serving(home):
    """Folder of the release that serves."""
    folder = current(home.releases)
    assert folder is not None
    return folder

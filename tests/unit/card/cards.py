"""Cards made by hand, and candidates with adapters for them."""

import json
from dataclasses import asdict

from rapport.card.document import Lineage
from rapport.card.making import make_card
from rapport.evaluation.verdict import Row
from rapport.language.library import Library
from rapport.language.training import TrainReport
from tests.unit.pipeline.candidates import a_policy, a_verdict

LINEAGE = Lineage(
    code_version="1",
    users={"policy": 40},
    table_versions={"decisions": 4},
    sources={"simulation": 900},
    models={},
    licences={"log of simulation": "Apache-2.0"},
)


def a_report(*, gain=0.4, half=0.1):
    """What a training says, with an interval of `half` on each side of its gain."""
    return TrainReport(
        tokens=900,
        steps=9,
        perplexity_base=30.0,
        perplexity_adapter=20.0,
        gain=gain,
        gain_low=gain - half,
        gain_high=gain + half,
        held_out=48,
        held_out_users=24,
        stopped_by="tokens",
    )


def put_adapters(folder, reports):
    """Adapter folders, as far as promotions look at them, with their reports and library."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in reports:
        (folder / name).mkdir()
        (folder / name / "adapter_config.json").write_text("{}")
        (folder / name / "adapter_model.safetensors").write_bytes(name.encode())
    stated = {name: asdict(report) for name, report in reports.items()}
    (folder / "report.json").write_text(json.dumps(stated))
    (folder / "discriminator.json").write_text("{}")
    Library({}).save(folder)


def a_group_row(name, *, low, status="passed", note=""):
    return Row(name, "dr", status, 300, 30, 150.0, low + 0.02, 0.01, low, low + 0.04, -0.02, note)


def a_judgement(*rows, **facts):
    """A verdict with rows of groups beside the overall one."""
    verdict = a_verdict(a_policy(), **facts)
    return {**verdict, "rows": [*verdict["rows"], *(asdict(row) for row in rows)]}


def a_card(folder, *, verdict=None, reports=None, measured=()):
    """The card of a candidate's folder."""
    if reports is not None:
        put_adapters(folder / "adapters", reports)
    return make_card(folder, verdict or a_judgement(), measured, lineage=LINEAGE)

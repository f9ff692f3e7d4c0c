from pathlib import Path

from rapport.card.ladder import STEPS
from rapport.card.trying import ladder_section
from rapport.measuring.result import Group, Measure, Result

RUNGS = ("base", "prompt", "few_shot_context", "adapter", "adapter_policy", "people")


def a_result(**whole):
    """A ladder in which every pair is even but the whole release over the base model."""
    even = {"preferred_by_fit": Measure(0.5, 0.4, 0.6, 60)}
    groups = {name: Group({"fit": Measure(0.5, 0.4, 0.6, 60)}) for name in RUNGS}
    groups |= {f"{upper} over {lower}": Group(even) for upper, lower in STEPS}
    found = {name: Measure(value, low, high, 60) for name, (value, low, high) in whole.items()}
    groups["adapter_policy over base"] = Group({**even, **found})
    return Result("ladder", Path("esconv"), 900, 0, 60, groups=groups)


def test_the_ladder_passes_where_every_judge_that_reads_prefers_the_release():
    assert ladder_section(a_result()).status == "too little data"
    won = a_result(preferred_by_fit=(0.7, 0.6, 0.8), preferred_by_empathy=(0.6, 0.55, 0.7))
    assert ladder_section(won).status == "passed"
    split = a_result(preferred_by_fit=(0.7, 0.6, 0.8), preferred_by_empathy=(0.5, 0.4, 0.6))
    assert ladder_section(split).status == "too little data"


def test_it_is_refused_where_one_of_them_prefers_the_base_model_and_says_who():
    lost = ladder_section(a_result(preferred_by_fit=(0.3, 0.2, 0.4)))
    assert lost.status == "refused"
    assert "judge fit" in lost.reason
    assert "n 60" in lost.reason


def test_rules_alone_decide_nothing_and_every_rung_is_told():
    section = ladder_section(a_result(preferred_by_defects=(0.1, 0.05, 0.2)))
    assert section.status == "too little data"
    assert {line.group for line in section.lines} >= set(RUNGS)
    judged = [line for line in section.lines if line.status is not None]
    assert {line.group for line in judged} == {"adapter_policy over base"}

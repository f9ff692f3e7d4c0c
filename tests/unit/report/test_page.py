import re

import polars as pl
import pytest

from rapport.home import Home
from rapport.lake import Lake
from rapport.report import figures, page
from rapport.report.blocks import Section, Side, Table, signed, within
from rapport.report.facts import Facts, keep_shown
from rapport.testing import a_turn


@pytest.fixture
def facts(tmp_path):
    home = Home(tmp_path / "home")
    return Facts(home, Lake(home.lake), "default")


def test_an_empty_home_gives_a_page_that_says_what_to_run(facts, tmp_path):
    written = page.write_report(facts, tmp_path / "out").read_text(encoding="utf-8")
    assert "Nothing yet: no decision has feedback" in written
    assert "rapport run segment_personas" in written
    assert "No release was published yet" in written


def test_a_report_replaces_the_one_before(facts, tmp_path):
    out = tmp_path / "out"
    page.write_report(facts, out)
    (out / "old.txt").write_text("old")
    page.write_report(facts, out)
    assert sorted(path.name for path in out.iterdir()) == ["plots", "report.html"]


def test_what_a_demo_showed_is_shown_and_escaped(facts, tmp_path):
    shown = {"message": "I <b>fell</b>", "replies": {"base model": "Oh"}, "notes": {}}
    keep_shown(facts.home, "side_by_side", [shown])
    written = page.write_report(facts, tmp_path / "out").read_text(encoding="utf-8")
    assert "I &lt;b&gt;fell&lt;/b&gt;" in written


def test_advice_names_what_follows_and_what_to_do(facts, tmp_path):
    rows = [a_turn(turn_id=f"t{i}", turn_index=i, ts_source="estimated", source="openai-jsonl")
            for i in range(3)]  # fmt: skip
    facts.lake.append("turns", rows, writer="test")
    written = page.write_report(facts, tmp_path / "out").read_text(encoding="utf-8")
    for said in ("1 users", "no ratings or other feedback", "3 of 3 turns without a time"):
        assert said in written
    assert "rewards come from how people write in their next message" in written


def test_the_page_needs_no_network(facts, tmp_path):
    written = page.write_report(facts, tmp_path / "out").read_text(encoding="utf-8")
    assert not re.search(r"(src|href)=[\"']https?:", written)
    assert "<script" not in written


def test_a_plot_keeps_text_and_takes_the_pages_colour():
    told = figures.Told("a_plot", "caption, n 2", "two points")
    plot = figures.estimates(told, ["a", "b"], [(0.1, 0.0, 0.2), (0.3, 0.2, 0.4)], unit="units")
    assert plot.svg.startswith("<svg")
    assert "currentColor" in plot.svg
    assert ">units</text>" in plot.svg
    assert plot.png.startswith(b"\x89PNG")
    assert plot.numbers.rows() == [("a", 0.1, 0.0, 0.2), ("b", 0.3, 0.2, 0.4)]
    head = plot.svg.partition(">")[0]
    assert "viewBox" in head
    assert "width=" not in head


def test_two_plots_of_the_same_data_share_no_ids():
    rows = pl.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "g": ["a", "b"]})
    plots = [
        figures.places(figures.Told(name, "c", "a"), rows, group="g", axes=("x", "y"))
        for name in ("one", "two")
    ]
    ids = [set(re.findall(r'<clipPath id="([^"]+)"', plot.svg)) for plot in plots]
    assert ids[0].isdisjoint(ids[1])


def test_a_section_has_an_address_and_numbers_their_sign():
    assert Section("What's it worth?", []).anchor == "what-s-it-worth"
    assert (signed(0.1234), signed(None)) == ("+0.123", "-")
    assert within(-0.1, 0.2) == "-0.100 to +0.200"
    assert Table("c", ("a",), []).rows == []
    assert Side("m", {}).notes == {}

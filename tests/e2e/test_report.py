"""The report on the shared small home, in a real browser where there is one."""

import json
import shutil
from pathlib import Path

import pytest

SECTIONS = (
    "What this log can prove",
    "The gate's verdict",
    "What the log holds and lacks",
    "Personas",
    "What people gave back",
    "Sentiment over a conversation",
    "What the policy is worth",
    "Are its predictions to be believed?",
    "Three messages, three answers each",
    "Lineage",
)
PLOTS = (
    "gate",
    "operating",
    "value",
    "value_by_group",
    "overlap",
    "reward_by_arm",
    "reward_by_persona",
    "sentiment",
)
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@pytest.fixture(scope="module")
def page(circle):
    ran = circle.shell("rapport report --json")
    assert ran.returncode == 0, ran.stderr
    return Path(json.loads(ran.stdout)["page"])


def test_every_question_has_its_section(page):
    written = page.read_text(encoding="utf-8").replace("&#39;", "'")
    for title in SECTIONS:
        assert f">{title}</h2>" in written
    assert "Nothing to" not in written


def test_every_plot_lies_beside_as_picture_and_numbers(page):
    for name in PLOTS:
        assert (page.parent / "plots" / f"{name}.png").stat().st_size > 5_000
        assert len((page.parent / "plots" / f"{name}.csv").read_text().splitlines()) > 1


def test_every_plot_names_its_n(page):
    written = page.read_text(encoding="utf-8")
    captions = written.split("<figcaption>")[1:]
    assert captions
    assert all("n " in caption.partition("</figcaption>")[0] for caption in captions)


def test_power_is_told_for_machines(circle):
    ran = circle.shell("rapport evaluate power --effect 0.1 --json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["groups"][0]["group"] == "overall"
    assert told["groups"][0]["detectable"] > 0


def test_the_lead_over_control_is_told_or_that_its_users_are_too_few(page, circle):
    ran = circle.shell("rapport evaluate control --json")
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)["leads"]
    assert "overall" in {one["group"] for one in told}
    written = page.read_text(encoding="utf-8")
    for one in told:
        assert (one["lead"] is None) == (min(one["users"], one["control"]) < 20)
        assert one["told"] in written


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_browser_shows_it_whole(page, width, scheme):
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=BROWSER, args=list(FLAGS))
        view = {"width": width, "height": 900}
        shown = browser.new_context(viewport=view, color_scheme=scheme).new_page()
        errors = []
        shown.on("console", lambda message: errors.append(message.text))
        shown.on("pageerror", lambda error: errors.append(str(error)))
        shown.goto(page.as_uri())
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        assert shown.locator("figure svg").count() >= len(PLOTS)
        browser.close()
    assert errors == []

"""The page at `/` in a real browser, where there is one, over the light nodes and tiny models."""

import re
import shutil
from dataclasses import dataclass, field
from typing import Any

import pytest

from rapport.language.transformers_engine import TransformersEngine
from serve.app import AppConfig
from serve.persona_model import PersonaModel
from tests.serve.light import serving
from tests.serve.phrases import MESSAGES
from tests.serve.small_home import ScriptedWriter

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
LOW = "I feel low about work, what should I do?"
GLAD = "Thank you, today was wonderful and I am happy."
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@dataclass
class Visit:
    """A page that is open, and all that its console and its requests told."""

    shown: Any
    url: str
    key: str
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def sign_in(self):
        self.shown.goto(f"{self.url}/#key={self.key}")
        self.shown.wait_for_selector("#standing:not(:empty)")

    def say(self, text, *, mode="arm_first"):
        """Send a message; gives the exchange once it is explained."""
        self.shown.select_option("#mode", mode)
        place = self.shown.locator(".exchange").count()
        self.shown.fill("#message", text)
        self.shown.press("#message", "Enter")
        exchange = self.shown.locator(".exchange").nth(place)
        exchange.locator(".why").wait_for(state="visible")
        self.shown.wait_for_selector("#go:not([hidden])")
        return exchange

    def compare(self, text):
        """Ask two personas; gives both sides once they have answered."""
        self.shown.press("#tab-talk", "ArrowRight")
        self.shown.fill("#compare-message", text)
        self.shown.press("#compare-message", "Enter")
        for place in (1, 2):
            self.shown.wait_for_selector(f".side:nth-child({place}) .chances")
        return self.shown.locator(".side")

    def width(self):
        return self.shown.evaluate("document.documentElement.scrollWidth")


@pytest.fixture(scope="module")
def chromium():
    playwright = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as browsers:
        yield browsers.chromium.launch(executable_path=BROWSER, args=list(FLAGS))


def served_with(home, folder, writer=None):
    root = shutil.copytree(home, folder / "home")
    writer = writer or PersonaModel(TransformersEngine(root / "language"))
    return serving(AppConfig(home=root, encoder=f"file:{root}/encoder"), writer)


@pytest.fixture(scope="module")
def graph(promoted_home, tmp_path_factory):
    with served_with(promoted_home, tmp_path_factory.mktemp("page")) as made:
        yield made


@pytest.fixture
def opened(chromium):
    """Opens a graph's page in a context of its own."""
    contexts = []

    def visit(graph, *, width=1280, scheme="light"):
        view = {"width": width, "height": 900}
        contexts.append(chromium.new_context(viewport=view, color_scheme=scheme))
        shown = contexts[-1].new_page()
        made = Visit(shown, str(graph.client.base_url).rstrip("/"), graph.key)
        shown.on("console", lambda message: made.said.append(message.text))
        shown.on("pageerror", lambda error: made.said.append(str(error)))
        shown.on("dialog", lambda dialog: made.said.append(dialog.message))
        shown.on("request", lambda request: made.asked.append(request.url))
        return made

    yield visit
    for context in contexts:
        context.close()


def chances(card):
    """The probabilities that a card shows."""
    return [float(one.get_attribute("value")) for one in card.locator(".chances data").all()]


def test_a_visitor_talks_and_sees_what_was_drawn_from_what(graph, opened):
    visit = opened(graph)
    visit.sign_in()
    first = visit.say(LOW)
    row = graph.store.decisions("default", limit=1)[0]
    probabilities = [each["probability"] for each in row["candidates"]]
    assert chances(first) == probabilities
    assert sum(chances(first)) == pytest.approx(1, abs=1e-12)
    chosen = row["candidates"][row["action_index"]]
    assert first.locator(".text").text_content() == chosen["text"]
    assert first.locator(".drawn th").inner_text().startswith(chosen["arm"].replace("_", " "))
    assert f"persona {row['persona_id']}" in first.locator(".facts").inner_text()
    assert first.locator(".curve").count() == 0
    second = visit.say(GLAD)
    assert "\u22121 to +1" in second.locator(".curve").inner_text()
    assert "n = 2" in second.locator(".curve").inner_text()
    assert graph.store.decisions("default", limit=1)[0]["episode_id"] == row["episode_id"]
    assert visit.said == []


def test_a_reply_is_seen_before_it_is_whole(promoted_home, tmp_path_factory, opened):
    reply = (
        "Let us look at this together. First tell me what happened at work today. Which part "
        "weighs most on you now? It may help to name one small step for the evening. Whom could "
        "you ask for a hand with it? Rest counts too, and nothing has to be solved at once."
    )
    slow = ScriptedWriter(reply, step=1)
    with served_with(promoted_home, tmp_path_factory.mktemp("slow"), slow) as graph:
        visit = opened(graph)
        visit.sign_in()
        visit.shown.select_option("#mode", "control")
        visit.shown.evaluate(
            "() => { window.seen = new Set(); new MutationObserver(() => window.seen.add("
            "document.querySelector('.text')?.textContent.length)).observe("
            "document.getElementById('exchanges'), {subtree: true, childList: true}); }"
        )
        assert visit.say(LOW, mode="control").locator(".text").text_content() == reply
        assert visit.shown.evaluate("window.seen.size") >= 2


def test_thumbs_are_counted_and_a_change_of_mind_counts_as_the_later(graph, opened):
    visit = opened(graph)
    visit.sign_in()
    exchange = visit.say(LOW)
    decision = graph.store.decisions("default", limit=1)[0]["decision_id"]
    for name, value, preview in (("up", 1.0, "+1.00"), ("down", 0.0, "\u22121.00")):
        button = exchange.locator(".thumb").nth(0 if name == "up" else 1)
        with visit.shown.expect_response("**/v1/feedback") as answer:
            button.click()
        exchange.locator(f".told:has-text('{preview}')").wait_for()
        row = graph.store.feedback(answer.value.json()["feedback_id"], tenant="default")
        assert (row["decision_id"], row["metric_name"], row["value"]) == (decision, "thumbs", value)
        assert button.get_attribute("aria-pressed") == "true"
    assert visit.said == []


def test_two_personas_answer_side_by_side_and_nothing_is_logged(graph, opened):
    visit = opened(graph)
    visit.sign_in()
    before = graph.store.outbox.waiting()
    sides = visit.compare(LOW)
    personas = [one["persona_id"] for one in graph.client.get("/v1/personas").json()["data"]]
    assert sides.locator("h3").all_inner_texts() == personas[:2]
    for side in sides.all():
        assert sum(chances(side)) == pytest.approx(1, abs=1e-12)
        assert side.locator(".text").inner_text()
    assert graph.store.outbox.waiting() == before
    assert visit.said == []


def test_the_key_is_in_no_address_and_in_no_longer_memory(graph, opened):
    visit = opened(graph)
    visit.sign_in()
    visit.say(LOW)
    assert graph.key not in visit.shown.url
    assert not [url for url in visit.asked if graph.key in url.partition("#")[0]]
    assert {url.split("/")[2] for url in visit.asked} == {visit.url.split("/")[2]}
    assert visit.shown.evaluate("localStorage.length") == 0
    assert visit.shown.context.cookies() == []
    visit.shown.click("#sign-out")
    assert visit.shown.evaluate("sessionStorage.getItem('rapport.key')") is None
    assert visit.shown.locator("#sign-in").is_visible()


def test_a_wrong_key_is_told_in_words_with_the_request(graph, opened):
    visit = opened(graph)
    visit.shown.goto(visit.url)
    visit.shown.fill("#key", "rk_wrong")
    visit.shown.press("#key", "Enter")
    visit.shown.wait_for_selector("#sign-in-trouble:not([hidden])")
    told = visit.shown.locator("#sign-in-trouble").inner_text()
    assert "unknown, expired or revoked" in told
    assert re.search(r"\(request [\w-]+\)", told)
    assert visit.shown.evaluate("sessionStorage.length") == 0


def test_what_anybody_wrote_is_never_markup(promoted_home, tmp_path_factory, opened):
    writer = ScriptedWriter(f"Well, {HOSTILE}")
    with served_with(promoted_home, tmp_path_factory.mktemp("hostile"), writer) as graph:
        visit = opened(graph)
        visit.sign_in()
        visit.shown.fill("#user", HOSTILE)
        visit.shown.press("#user", "Tab")
        exchange = visit.say(HOSTILE, mode="control")
        assert exchange.locator(".mine").text_content() == HOSTILE
        assert exchange.locator(".text").text_content() == f"Well, {HOSTILE}"
        assert visit.shown.locator("main img, main script").count() == 0
        assert visit.said == []


def test_a_crisis_and_what_the_guard_replaced_are_named(promoted_home, tmp_path_factory, opened):
    writer = ScriptedWriter("You should kill yourself.")
    with served_with(promoted_home, tmp_path_factory.mktemp("guarded"), writer) as graph:
        visit = opened(graph)
        visit.sign_in()
        replaced = visit.say(LOW, mode="control")
        assert "in place of one that must not leave" in replaced.locator(".label").inner_text()
        assert "kill" not in replaced.locator(".text").inner_text()
        assert "guard: " in replaced.locator(".odd").inner_text()
        crisis = visit.say(MESSAGES[0])
        assert "Crisis reply" in crisis.locator(".label").inner_text()
        assert crisis.locator(".chances, .thumbs").count() == 0
        assert visit.said == []


def test_a_protected_user_is_told_so_and_his_mood_is_not_shown(
    promoted_home, tmp_path_factory, opened
):
    folder = tmp_path_factory.mktemp("protected")
    with served_with(promoted_home, folder) as graph:
        graph.client.put("/v1/users/kid", json={"age_band": "13-15"}).raise_for_status()
        visit = opened(graph)
        visit.sign_in()
        visit.shown.fill("#user", "kid")
        visit.shown.press("#user", "Enter")
        visit.shown.wait_for_selector("#standing:has-text('protected')")
        for _ in range(2):
            exchange = visit.say(LOW)
        assert "Sentiment is not read" in exchange.inner_text()
        assert visit.shown.locator(".curve").count() == 0
        assert visit.said == []


def test_an_error_keeps_the_message_and_says_what_to_do(graph, opened):
    visit = opened(graph)
    visit.sign_in()
    visit.shown.select_option("#mode", "")
    visit.shown.route(
        "**/v1/chat/completions",
        lambda route: route.fulfill(
            status=503,
            headers={"x-request-id": "r-1", "retry-after": "2"},
            json={"error": {"message": "the store does not answer", "code": "unavailable"}},
        ),
    )
    visit.shown.fill("#message", LOW)
    visit.shown.press("#message", "Enter")
    told = visit.shown.locator(".exchange .trouble")
    told.wait_for()
    assert told.inner_text() == (
        "The server could not answer: the store does not answer. Try again in 2 s. (request r-1)"
    )
    assert visit.shown.input_value("#message") == LOW


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_screen(graph, opened, width, scheme):
    visit = opened(graph, width=width, scheme=scheme)
    visit.sign_in()
    for said in (LOW, GLAD, "w" * 300):
        visit.say(said).locator(".why summary").click()
        assert visit.width() == width
    visit.compare(LOW)
    assert visit.width() == width
    assert visit.said == []

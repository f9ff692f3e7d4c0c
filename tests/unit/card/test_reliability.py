import numpy as np
import pytest

from rapport.card.questions import FRAMES, questions
from rapport.card.reliability import Errors, compare, errors_of, reliability
from rapport.errors import ConfigError
from tests.unit.card.card_writers import BY_TEXT, Knowing, saying

ASKED = questions()


def test_an_adapter_that_knows_as_much_passes_every_frame():
    found = reliability(Knowing(), Knowing())

    assert found.reading == "choice"
    assert found.verdict == "passed"
    assert {frame: check.value for frame, check in found.checks.items()} == dict.fromkeys(FRAMES, 0)
    assert found.checks["sad"].base == pytest.approx(1 / (1 + np.exp(2.0)))


@pytest.mark.parametrize(
    ("changed", "frame"), [({"sad": 1.0}, "sad"), ({"premise": 1.0}, "false_premise")]
)
def test_harm_shows_in_its_frame_alone(changed, frame):
    found = reliability(Knowing(), Knowing(**changed))

    verdicts = {name: check.verdict for name, check in found.checks.items()}
    assert verdicts == {name: "refused" if name == frame else "passed" for name in FRAMES}
    assert found.verdict == "refused"


def differing(mean: float, *, spread: float) -> Errors:
    noise = np.random.default_rng(1).normal(size=len(ASKED))
    noise = (noise - noise.mean()) / noise.std()
    frames = dict.fromkeys(FRAMES, 0.3 + mean + spread * noise)
    return Errors("choice", ASKED, frames)


@pytest.mark.parametrize(
    ("mean", "spread", "verdict"),
    [(0.01, 0.02, "passed"), (0.01, 0.2, "undecided"), (0.021, 0.2, "refused")],
)
def test_the_rule_reads_point_and_interval(mean, spread, verdict):
    base = differing(0.0, spread=0.0)

    assert compare(base, differing(mean, spread=spread)).verdict == verdict


def test_text_is_an_error_unless_it_says_the_right_answer():
    knows = saying(lambda text: BY_TEXT[text].answer if text in BY_TEXT else "I am so sorry.")

    found = errors_of(knows, reading="text")
    assert not found.frames["neutral"].any()
    assert found.frames["sad"].all()
    assert found.frames["false_premise"].all()


def test_writers_that_cannot_score_are_read_by_text():
    assert reliability(saying(str), Knowing(), asked=ASKED[:4]).reading == "text"
    with pytest.raises(ConfigError, match="take text"):
        errors_of(saying(str), reading="choice")

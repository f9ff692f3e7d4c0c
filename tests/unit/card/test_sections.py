"""What the card says of errors: the whole set, a first look, and what is kept."""

from types import SimpleNamespace

import numpy as np
import pytest

from rapport.card import conduct
from rapport.card.making import adapter_verdicts
from rapport.card.questions import FRAMES, questions
from rapport.card.reliability import Errors
from rapport.home import Home
from rapport.pipeline.settings import CardSettings
from tests.unit.card.cards import a_report, put_adapters

N = len(questions())


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """A home, a candidate, and errors by adapter as they will be found; counts who was asked."""
    home = Home(tmp_path / "home")
    folder = tmp_path / "candidate"
    folder.mkdir()
    put_adapters(folder / "adapters", {"shared": a_report(), "dry-01": a_report()})
    world = SimpleNamespace(home=home, folder=folder, above={}, spread=0.0, asked=[])

    def errors_of(writer, *, reading, asked):
        world.asked.append(writer.adapter)
        generator = np.random.default_rng(len(world.asked))
        above = world.above.get(writer.adapter, 0.0)
        noise = generator.normal(0, world.spread, len(asked)) if writer.adapter else 0.0
        found = np.full(len(asked), 0.3 + above) + noise
        return Errors(reading, tuple(asked), dict.fromkeys(FRAMES, found))

    monkeypatch.setattr(conduct, "errors_of", errors_of)
    monkeypatch.setattr(conduct, "open_engine", lambda _model, _adapters: None)
    monkeypatch.setattr(conduct, "model_id", lambda _model: "tiny@1")
    return world


def section(world, **settings):
    found = conduct.measured(world.home, world.folder, world.folder, CardSettings(**settings))
    return next(each for each in found if each.name == "reliability")


def test_the_whole_set_refuses_what_errs_more_and_passes_what_does_not(asked):
    asked.above = {"dry-01": 0.05}
    found = section(asked)
    assert found.status == "refused"
    assert "dry-01" in found.reason
    verdicts = adapter_verdicts([found])
    assert verdicts["shared"].passed
    assert "answers wrongly more often" in verdicts["dry-01"].reasons[0]


def test_a_first_look_refuses_only_what_is_beyond_doubt(asked):
    asked.above, asked.spread = {"dry-01": 0.04, "shared": 0.3}, 0.3
    found = section(asked, questions=40)
    status = {line.group: line.status for line in found.lines if line.group.startswith("adapter/")}
    assert status == {"adapter/dry-01": "too little data", "adapter/shared": "refused"}
    assert "first look at 40" in found.notes[1]
    assert {line.n for line in found.lines} == {40}


def test_what_was_asked_is_not_asked_again_and_the_whole_set_stands_for_a_first_look(asked):
    whole = section(asked)
    assert asked.asked == [None, "dry-01", "shared"]
    assert section(asked, questions=40) == whole
    assert len(asked.asked) == 3
    weights = asked.folder / "adapters" / "dry-01" / "adapter_model.safetensors"
    weights.write_bytes(b"other")
    section(asked)
    assert len(asked.asked) == 6


def test_equal_weights_are_asked_once(asked):
    for name in ("shared", "dry-01"):
        weights = asked.folder / "adapters" / name / "adapter_model.safetensors"
        weights.write_bytes(b"the same")
    found = section(asked)
    assert asked.asked == [None, "dry-01"]
    assert {line.group for line in found.lines[3:]} == {"adapter/dry-01", "adapter/shared"}


def test_when_time_is_up_it_says_so_and_keeps_nothing(asked):
    found = section(asked, seconds=1e-9)
    assert found.status == "not measured"
    assert "time was up" in found.reason
    assert section(asked).status == "passed"
    assert conduct.measured(asked.home, asked.folder, asked.folder, CardSettings(questions=0)) == []

import numpy as np
import pytest

from rapport.affect.choice import accuracy, macro_f1, prior_shift
from rapport.affect.next_strategy import NAME, load_next_strategy
from rapport.affect.preference import confusion, preference_bias
from rapport.affect.strategy_training import train_next_strategy
from rapport.errors import ConfigError, TooLittleDataError
from rapport.ingest.dialogue_rows import ARM_ORDER
from rapport.ingest.talks import holds_talks, read_talks
from rapport.measuring.strategies import measure_strategies
from tests.unit.affect.made_up import HashedWords, write_talks


@pytest.fixture(scope="module")
def talks(tmp_path_factory):
    return read_talks(write_talks(tmp_path_factory.mktemp("esconv"), dialogues=70)).talks


@pytest.fixture(scope="module")
def trained(talks):
    return train_next_strategy(talks, ARM_ORDER, HashedWords(), facts={"licence": "made up"})


def test_dialogues_are_read_with_the_strategies_of_their_replies(talks):
    assert len(talks) == 70
    assert talks[0].messages[1]["arm"] == "question"
    assert "arm" not in talks[0].messages[0]


def test_failed_dialogues_teach_nothing(tmp_path):
    folder = write_talks(tmp_path, dialogues=2)
    assert holds_talks(folder)
    (folder / "esconv.jsonl").rename(folder / "failed_esconv.jsonl")
    assert not holds_talks(folder)
    with pytest.raises(ConfigError, match="holds no dialogue"):
        read_talks(folder)


def test_a_broken_dialogue_is_skipped(tmp_path):
    file = write_talks(tmp_path, dialogues=2) / "esconv.jsonl"
    file.write_text(file.read_text() + '{"dialog": 3}\nno json\n')
    read = read_talks(file)
    assert (len(read.talks), read.rows, read.skipped) == (2, 4, 2)


def test_what_follows_is_learned_for_dialogues_held_out(trained):
    _, held = trained
    assert held.truth.shape == (420, 1)
    # .85 of the replies after the first follow from the one before, and every first is known.
    assert (held.chosen == held.truth).mean() > 0.7
    assert held.probability.sum(axis=2) == pytest.approx(np.ones((420, 1)))


def test_it_tells_what_comes_next_and_what_a_reply_shows(trained, talks):
    scorer, _ = trained
    told = scorer.strategies([talks[0].messages[:1], [], talks[0].messages[:3]])
    assert told.shape == (3, 8)
    assert told.sum(axis=1) == pytest.approx([1, 1, 1])
    assert scorer.chosen(told)[0] == "question"
    shown = scorer.shown(["You could look for the cat at home."])
    assert scorer.arms[shown.argmax()] == "suggestion"
    assert scorer.strategies([]).shape == (0, 8)


def test_a_reply_of_unknown_strategy_is_read_too(trained):
    scorer, _ = trained
    said = [{"role": "user", "content": "I lost my job."}, {"role": "assistant", "content": "Oh."}]
    assert np.isfinite(scorer.strategies([said])).all()


def test_it_is_kept_and_loaded_in_a_home(trained, talks, tmp_path):
    scorer, _ = trained
    assert load_next_strategy(tmp_path, encoder=HashedWords()) is None
    scorer.save(tmp_path / "models")
    loaded = load_next_strategy(tmp_path, encoder=HashedWords())
    assert loaded is not None
    before = [talk.messages[:5] for talk in talks[:3]]
    told = scorer.strategies(before)
    assert loaded.strategies(before) == pytest.approx(told)
    assert loaded.chosen(told) == scorer.chosen(told)
    assert loaded.shown(["Hm."]) == pytest.approx(scorer.shown(["Hm."]))


def test_it_is_measured_on_what_it_learned_from_by_weights_that_did_not_see_it(trained, tmp_path):
    scorer, held = trained
    held.save(tmp_path, NAME)
    folder = write_talks(tmp_path / "both", dialogues=80)  # ten more than it was trained on
    result = measure_strategies(folder, scorer=scorer, models=tmp_path)
    assert result.n == 480
    assert "420 of 480 replies are those trained on" in result.notes[0]
    found = result.groups["strategy"].metrics
    assert found["accuracy"].estimate > 0.7
    assert {"preference_bias", "preference_bias_tfidf", "macro_f1_minus_tfidf"} <= set(found)


def test_too_few_dialogues_are_refused(talks):
    with pytest.raises(TooLittleDataError, match="dialogues with strategies"):
        train_next_strategy(talks[:20], ARM_ORDER, HashedWords(), facts={})


def test_a_prior_taken_off_finds_what_is_rare():
    generator = np.random.default_rng(0)
    truth = generator.choice(3, p=[0.8, 0.1, 0.1], size=3000)
    scores = generator.normal(size=(3000, 3)) + 1.5 * np.eye(3)[truth] + np.log([0.8, 0.1, 0.1])
    shift = prior_shift(scores, truth)
    plain = confusion(scores.argmax(axis=1), truth, kinds=3)
    shifted = confusion((scores - shift).argmax(axis=1), truth, kinds=3)
    assert macro_f1(shifted) > macro_f1(plain) + 0.02
    assert preference_bias(shifted) < preference_bias(plain)
    assert accuracy(plain) == pytest.approx((scores.argmax(axis=1) == truth).mean())

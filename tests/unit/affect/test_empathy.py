from dataclasses import replace

import numpy as np
import pytest

from rapport.affect.empathy import NAME, load_empathy
from rapport.affect.empathy_training import row_hashes, train_empathy
from rapport.affect.epitome import MECHANISMS, UNRATED, read_pairs
from rapport.affect.held_out import STATED
from rapport.affect.reply_parts import marked, sentences_of, summed
from rapport.errors import ConfigError, DataError, TooLittleDataError
from rapport.measuring.empathy import measure_empathy
from tests.unit.affect.made_up import HashedWords, write_pairs


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return read_pairs(write_pairs(tmp_path_factory.mktemp("epitome"), posts=150))


@pytest.fixture(scope="module")
def trained(pairs):
    return train_empathy(pairs, HashedWords(), facts={"licence": "made up"})


def test_the_three_files_join_by_pair(pairs):
    assert pairs.levels.shape == (300, 3)
    assert len(set(pairs.post_ids.tolist())) == 150
    assert (pairs.levels != UNRATED).all()
    assert (pairs.rows, pairs.skipped) == (900, 0)


def test_rows_without_a_level_are_skipped(tmp_path):
    file = write_pairs(tmp_path, posts=3) / "explorations-reddit.csv"
    rows = file.read_text().splitlines()
    file.write_text("\n".join([rows[0], rows[1].rsplit(",", 2)[0] + ",7,", *rows[2:]]))
    read = read_pairs(file)
    assert (read.rows, read.skipped) == (6, 1)
    assert (read.levels[:, :2] == UNRATED).all()


def test_a_csv_of_something_else_says_what_it_lacks(tmp_path):
    file = tmp_path / "explorations.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ConfigError, match="it has no column level, response_post"):
        read_pairs(file)


def test_what_was_held_out_is_read_well_and_of_other_posts(trained, pairs):
    _, held = trained
    assert (held.truth == pairs.levels).all()
    assert (held.chosen == held.truth).mean() > 0.95
    assert (held.rows == row_hashes(pairs)).all()
    assert held.probability.sum(axis=2) == pytest.approx(np.ones((300, 3)))


def test_a_reply_shows_its_mechanism_strongly_weakly_or_not(trained):
    scorer, _ = trained
    replies = [
        "I am so very sorry, my heart aches for you. It rained on Monday.",
        "What happened?",
        "The bus leaves at nine.",
    ]
    levels = scorer.levels(["My cat is gone."] * 3, replies)
    assert levels.shape == (3, 3)
    assert levels[0, 0] > 1.5
    assert 0.6 < levels[1, 2] < 1.5
    assert levels[2].max() < 0.5
    assert scorer.levels([], []).shape == (0, 3)


def test_it_is_kept_and_loaded_in_a_home(trained, tmp_path):
    scorer, held = trained
    assert load_empathy(tmp_path, encoder=HashedWords()) is None
    scorer.save(tmp_path / "models")
    held.save(tmp_path / "models", "empathy_held_out")
    loaded = load_empathy(tmp_path, encoder=HashedWords())
    assert loaded is not None
    posts, replies = ["I lost my job."] * 2, ["That must be hard.", "What happened?"]
    told = scorer.probabilities(posts, replies)
    assert loaded.probabilities(posts, replies) == pytest.approx(told)
    assert (loaded.chosen(told) == scorer.chosen(told)).all()
    assert loaded.facts["licence"] == "made up"


def test_it_is_measured_on_what_it_learned_from_by_weights_that_did_not_see_it(trained, tmp_path):
    scorer, held = trained
    held.save(tmp_path, NAME)
    folder = write_pairs(tmp_path / "both", posts=160)  # ten posts more than it was trained on
    result = measure_empathy(folder, scorer=scorer, models=tmp_path)
    assert result.n == 320
    assert "300 of 320 pairs are those trained on" in result.notes[0]
    assert list(result.groups) == list(MECHANISMS)
    found = result.groups["explorations"].metrics
    assert found["macro_f1"].estimate > 0.9
    assert found["macro_f1_minus_tfidf"].low is not None
    assert result.metrics["macro_f1"].n == 320


def test_what_another_training_left_beside_a_scorer_is_not_taken_for_its_own(trained, tmp_path):
    scorer, held = trained
    folder = write_pairs(tmp_path / "set", posts=10)
    stated = replace(scorer, facts={**scorer.facts, STATED: held.save(tmp_path, NAME)})
    assert measure_empathy(folder, scorer=stated, models=tmp_path).n == 20
    replace(held, rows=held.rows + np.uint64(1)).save(tmp_path, NAME)  # and then it was killed
    with pytest.raises(DataError, match="stopped while it wrote"):
        measure_empathy(folder, scorer=stated, models=tmp_path)


def test_another_encoder_is_refused(trained, tmp_path):
    trained[0].save(tmp_path / "models")
    other = HashedWords()
    other.encoder_id = "another"
    with pytest.raises(ConfigError, match="trained with hashed-words"):
        load_empathy(tmp_path, encoder=other)


def test_too_few_pairs_are_refused(pairs):
    few = pairs.only(np.arange(300) < 50)
    with pytest.raises(TooLittleDataError, match="pairs rated for all mechanisms"):
        train_empathy(few, HashedWords(), facts={})


def test_sentences_and_the_parts_that_raters_marked():
    assert sentences_of("So sorry! What now?\nTell me.") == ["So sorry!", "What now?", "Tell me."]
    assert sentences_of("") == [""]
    assert marked("So sorry to hear that!", "sorry to hear")
    assert marked("Why?", "nothing|why?")
    assert not marked("It rained on Monday.", "so sorry to hear|why")
    assert not marked("...", "")


def test_sentences_add_up_to_their_reply():
    probability = np.array([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8], [1.0, 0.0, 0.0]])
    found = summed(probability, np.array([0, 0, 1]), replies=2)
    assert found.shape == (2, 5)
    assert (found[0] > found[1]).all()

import gzip
import sys

import numpy as np
import polars as pl
import pytest

from rapport.affect import build
from rapport.affect.scorers import EMOTIONS, load_scorer
from rapport.errors import DataError
from rapport.testing import tiny_encoder
from tests.unit.affect.replies import messages


def a_goemotions_folder(folder, *, count=120, line=None):
    folder.mkdir(exist_ok=True)
    (folder / "labels_original.txt").write_text("\n".join(EMOTIONS) + "\n")
    for split, seed in (("train", 0), ("dev", 1)):
        texts, glad = messages(count, seed=seed)
        rows = [
            f"{text}\t{'17' if mood else '25,27'}\tid{place}"
            for place, (text, mood) in enumerate(zip(texts, glad, strict=True))
        ]
        (folder / f"{split}.tsv").write_text("\n".join([*rows, *([line] if line else [])]) + "\n")
    return folder


def a_simulated_log(folder, *, count=40):
    texts, glad = messages(count, seed=2)
    (folder / "truth").mkdir(parents=True)
    ids = [str(place) for place in range(count)]
    pl.DataFrame({"turn_id": ids, "text": texts}).write_parquet(folder / "turns.parquet")
    pl.DataFrame({"turn_id": ids[::-1], "mood": (glad[::-1] - 0.5) * 0.8}).write_parquet(
        folder / "truth" / "turns.parquet"
    )
    return folder


def test_the_shipped_weights_can_be_rebuilt_from_the_command_line(tmp_path, monkeypatch, capsys):
    encoder = f"file:{tiny_encoder(tmp_path / 'encoder')}"
    data, log = a_goemotions_folder(tmp_path / "go"), a_simulated_log(tmp_path / "log")
    command = ["build", "--goemotions", str(data), "--moods", str(log), "--encoder", encoder]
    monkeypatch.setattr(sys, "argv", [*command, "--out", str(tmp_path / "out")])
    build.main()
    assert "macro_f1_vectors" in capsys.readouterr().out
    scorer = load_scorer(tmp_path / "out")
    assert scorer.facts["licence"] == "Apache-2.0"
    assert scorer.facts["dev"]["polarity_words"] > 0.9
    assert scorer.encoder_id is not None
    assert scorer.sentiment(["I feel great", "I feel awful"]).tolist()[0] > 0


def test_labels_are_read_from_the_gzipped_file_as_well(tmp_path):
    folder = a_goemotions_folder(tmp_path)
    plain = folder / "train.tsv"
    (folder / "train.tsv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    texts, labels = build.read_goemotions(folder, "train")
    plain.unlink()
    again, others = build.read_goemotions(folder, "train")
    assert again == texts
    assert (labels == others).all()
    assert set(labels.sum(axis=1)) == {1, 2}


def test_an_odd_line_separator_inside_a_comment_does_not_split_it(tmp_path):
    folder = a_goemotions_folder(tmp_path, line="one\u2028comment\t27\tid")
    texts, labels = build.read_goemotions(folder, "train")
    assert (len(texts), texts[-1]) == (121, "one\u2028comment")
    assert labels[-1, EMOTIONS.index("neutral")] == 1


@pytest.mark.parametrize("line", ["no tabs at all", "text\t28\tid", "text\t\tid", "text\tjoy\tid"])
def test_a_broken_line_is_named_by_its_number_without_its_text(tmp_path, line):
    folder = a_goemotions_folder(tmp_path, line=line)
    with pytest.raises(DataError, match="line 121 of train") as caught:
        build.read_goemotions(folder, "train")
    assert "tabs at all" not in str(caught.value)


def test_missing_files_and_other_labels_are_refused(tmp_path):
    folder = a_goemotions_folder(tmp_path / "go")
    with pytest.raises(DataError, match=r"test\.tsv"):
        build.read_goemotions(folder, "test")
    (folder / "labels_original.txt").write_text("anger\njoy\n")
    with pytest.raises(DataError, match="other labels"):
        build.read_goemotions(folder, "train")
    with pytest.raises(DataError, match="no simulated log"):
        build.read_moods([tmp_path])


def test_moods_follow_their_turn_and_are_stretched(tmp_path):
    moods = build.read_moods([a_simulated_log(tmp_path / "log")])
    texts, glad = messages(40, seed=2)
    assert moods.texts == texts
    assert moods.mood == pytest.approx(np.clip((glad - 0.5) * 1.6, -1, 1))
    assert len(build.read_moods([]).texts) == 0

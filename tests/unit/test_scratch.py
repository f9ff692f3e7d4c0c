import multiprocessing
import os

import pytest

from rapport.scratch import clear_stale, replace_text, replaced, scratch_folder


def _die_amid(root):
    with scratch_folder(root, ".part.") as folder:
        (folder / "half").touch()
        os._exit(9)


def _die_amid_a_file(root):
    path = root / "facts.json"
    path.write_text("old")
    os.replace = os.rename = lambda *_: os._exit(9)
    type(path).replace = lambda *_: os._exit(9)
    replace_text(path, "new")


def died(target, root):
    process = multiprocessing.get_context("spawn").Process(target=target, args=(root,))
    process.start()
    process.join(60)
    assert process.exitcode == 9


def test_a_folder_is_replaced_whole(tmp_path):
    for text in ("one", "two"):
        with replaced(tmp_path / "part") as folder:
            (folder / "a").write_text(text)
            before = tmp_path / "part/a"
            assert not before.exists() or before.read_text() == "one"
        assert (tmp_path / "part/a").read_text() == text
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_a_writer_that_fails_leaves_the_old_content_alone(tmp_path):
    with replaced(tmp_path / "part") as folder:
        (folder / "a").write_text("old")
    with pytest.raises(FileNotFoundError), replaced(tmp_path / "part") as folder:
        (folder / "missing" / "a").write_text("new")
    assert (tmp_path / "part/a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["part"]


def test_what_a_dead_writer_left_is_cleared_and_what_a_living_one_writes_is_not(tmp_path):
    died(_die_amid, tmp_path)
    with scratch_folder(tmp_path, ".part.") as mine:
        assert len(list(tmp_path.iterdir())) == 2
        (cleared,) = clear_stale(tmp_path)
        assert cleared.startswith(".part.")
        assert list(tmp_path.iterdir()) == [mine]


def test_a_file_is_its_old_text_or_its_new_one(tmp_path):
    died(_die_amid_a_file, tmp_path)
    assert (tmp_path / "facts.json").read_text() == "old"
    assert len(clear_stale(tmp_path)) == 1
    replace_text(tmp_path / "facts.json", "new")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["new"]


def test_what_is_called_otherwise_is_nobodys_to_clear(tmp_path):
    (tmp_path / ".keep").touch()
    (tmp_path / ".part.fff-1-00001-0").mkdir()  # another machine's
    assert clear_stale(tmp_path) == []

import re

from rapport.personas.names import WORDS, new_names


def test_names_are_readable_unique_and_seeded():
    names = new_names(8, seed=3)
    assert all(re.fullmatch(r"[a-z]+-\d\d", name) for name in names)
    assert len({name.split("-")[0] for name in names}) == 8
    assert names == new_names(8, seed=3)
    assert names != new_names(8, seed=4)


def test_a_taken_word_is_not_used_again():
    taken = [f"{word}-01" for word in WORDS[:-3]]
    assert {name.split("-")[0] for name in new_names(3, seed=0, taken=taken)} == set(WORDS[-3:])

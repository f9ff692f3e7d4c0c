import polars as pl

from rapport.personas.terms import LEAST_PEOPLE, distinctive_terms


def groups(*, people: int = 30):
    users = [f"{persona}{i}" for persona in "ab" for i in range(people)]
    members = pl.DataFrame({"user_id": users, "persona_id": [user[0] for user in users]})
    return users, members


def texts_of(users, text, *, each: int = 8):
    said = [user for user in users for _ in range(each)]
    return pl.DataFrame({"user_id": said, "text": [text(user) for user in said]})


def test_words_that_one_group_says_are_its_terms():
    users, members = groups()
    texts = texts_of(users, lambda u: f"I feel {'so sad' if u[0] == 'a' else 'rather well'} today")
    terms = distinctive_terms(texts, members)
    said = {persona: " ".join(term.term for term in found) for persona, found in terms.items()}
    assert "sad" in said["a"]
    assert "well" in said["b"]
    assert "today" not in said["a"] + said["b"]
    assert all(term.people == 30 for found in terms.values() for term in found)


def test_what_fewer_than_twenty_people_say_is_never_shown():
    users, members = groups()
    few = set(users[: LEAST_PEOPLE - 1])
    texts = texts_of(users, lambda u: ("zanzibar " * 50 if u in few else "") + "we talked")
    shown = distinctive_terms(texts, members)
    assert "zanzibar" not in str(shown)
    enough = set(users[:LEAST_PEOPLE])
    texts = texts_of(users, lambda u: ("zanzibar " * 50 if u in enough else "") + "we talked")
    assert distinctive_terms(texts, members)["a"][0].people == LEAST_PEOPLE


def test_signs_count_and_placeholders_and_numbers_do_not():
    users, members = groups()
    texts = texts_of(users, lambda u: "fine!" if u[0] == "a" else "fine [EMAIL] 0170 1234")
    terms = distinctive_terms(texts, members)
    assert [term.term for term in terms["a"]] in (["!"], ["fine !"])
    assert "b" not in terms or all("email" not in term.term for term in terms["b"])


def test_a_word_is_shown_in_one_term_only():
    users, members = groups()
    texts = texts_of(users, lambda u: "of course it is" if u[0] == "a" else "it is")
    words = [word for term in distinctive_terms(texts, members)["a"] for word in term.term.split()]
    assert len(words) == len(set(words))


def test_no_texts_give_no_terms():
    _, members = groups()
    nothing = pl.DataFrame(schema={"user_id": pl.String, "text": pl.String})
    assert distinctive_terms(nothing, members) == {}

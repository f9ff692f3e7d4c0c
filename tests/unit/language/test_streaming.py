from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rapport.language.loading import LanguageModel
from rapport.language.streaming import TextStream


def stream(loaded: LanguageModel, text: str, *stops: str) -> tuple[list[str], TextStream]:
    tokens = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
    streamed = TextStream(loaded.tokenizer, stops)
    pieces = []
    for token in tokens:
        pieces.append(streamed.push(token))
        if streamed.stopped:
            return pieces, streamed
    return [*pieces, streamed.finish()], streamed


@given(text=st.text(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_pieces_join_to_the_text_and_hold_no_half_character(loaded: LanguageModel, text: str):
    text = text.replace("\ufffd", "")

    pieces, _ = stream(loaded, text)

    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_a_character_of_several_tokens_comes_whole(loaded: LanguageModel):
    tokens = loaded.tokenizer("é🙂", add_special_tokens=False)["input_ids"]
    assert len(tokens) > 2

    pieces, _ = stream(loaded, "é🙂")

    assert [piece for piece in pieces if piece] == ["é", "🙂"]


def test_a_reply_cut_inside_a_character_ends_before_it(loaded: LanguageModel):
    tokens = loaded.tokenizer("ok 🙂", add_special_tokens=False)["input_ids"][:-1]
    streamed = TextStream(loaded.tokenizer)

    text = "".join([streamed.push(token) for token in tokens]) + streamed.finish()

    assert text == "ok "


def test_nothing_from_a_stop_text_on_is_handed_out(loaded: LanguageModel):
    pieces, streamed = stream(loaded, "I hear you. User: and then", "User:")

    assert streamed.stopped
    assert "".join(pieces) == "I hear you. "


def test_what_only_began_like_a_stop_text_is_handed_out_in_the_end(loaded: LanguageModel):
    pieces, streamed = stream(loaded, "So does the Use", "User:")

    assert not streamed.stopped
    assert "".join(pieces) == "So does the Use"


@given(before=st.text("ab ", max_size=12), after=st.text("abc ", max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_earliest_stop_text_ends_the_reply(loaded: LanguageModel, before: str, after: str):
    pieces, _ = stream(loaded, f"{before}cc{after}", "cc", "ca", "cb")

    assert "".join(pieces) == f"{before}cc{after}"[: len(before)]

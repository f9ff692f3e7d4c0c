import time

from hypothesis import given
from hypothesis import strategies as st

from serve.holding import CHUNK_S, GUARD_EVERY, Holding, choice, readable
from serve.speech import Speech

STAND_IN = "Let us talk about something else."


class Stream:
    """A stream whose guard stops the word `bad`."""

    def __init__(self, samples=1):
        self.speech = Speech(delivered="full")
        self.speech.sample(samples - 1)
        self.held = Holding(self.speech, fault=self.fault, stand_in=lambda: STAND_IN)
        self.left = [""] * samples
        self.ends: list[str | None] = [None] * samples

    def fault(self, sample, _ended):
        return "rule" if "bad" in sample.read else None

    def write(self, text, index=0, finish=None):
        self.speech.sample(index).hear({"content": text}, finish)
        self.held.put(choice(index, {"content": text}, finish=finish))
        self.take(self.held.release())

    def take(self, chunks):
        for chunk in chunks:
            for one in chunk["choices"]:
                self.left[one["index"]] += one["delta"].get("content", "")
                self.ends[one["index"]] = one["finish_reason"] or self.ends[one["index"]]


def test_a_sentence_leaves_when_it_is_whole():
    stream = Stream()
    for piece in ("How", " are", " you", "? "):
        assert stream.left == [""]
        stream.write(piece)
    assert stream.left == ["How are you? "]


def test_what_leaves_within_a_twentieth_of_a_second_leaves_together():
    stream = Stream()
    assert not stream.held.due
    stream.speech.sample(0).hear({"content": "Hi. "}, None)
    stream.held.put(choice(0, {"content": "Hi. "}))
    assert stream.held.due
    stream.write("And so on. ")
    stream.speech.sample(0).hear({"content": "More. "}, None)
    stream.held.put(choice(0, {"content": "More. "}))
    assert not stream.held.due
    time.sleep(CHUNK_S)
    assert stream.held.due


def test_no_beginning_of_a_sentence_that_must_not_leave_has_left():
    stream = Stream()
    for piece in ("All is well. ", "You are", " bad", " indeed."):
        stream.write(piece)
    assert stream.left == [f"All is well. \n\n{STAND_IN}"]
    assert stream.speech.text == stream.left[0]
    assert stream.ends == ["stop"]
    assert (stream.speech.delivered, stream.speech.guard) == ("guard_replaced", "rule")


def test_of_a_long_sentence_only_the_last_part_is_held_back():
    stream = Stream()
    for _ in range(100):
        stream.write("word ")
    assert len(stream.left[0]) == 500 - GUARD_EVERY


def test_what_was_read_leaves_at_the_end_and_when_the_reply_ends():
    stream = Stream()
    stream.write("no full stop")
    stream.take(stream.held.release(ended=True))
    assert stream.left == ["no full stop"]
    other = Stream()
    other.write("ends", finish="length")
    assert (other.left, other.ends) == (["ends"], ["length"])


def test_one_of_several_replies_is_replaced_and_the_others_go_on():
    stream = Stream(2)
    stream.write("Fine so far. ", 0)
    stream.write("bad", 1)
    stream.write("And on. ", 0)
    stream.write("more", 1)
    stream.take(stream.held.release(ended=True))
    assert stream.left == ["Fine so far. And on. ", STAND_IN]
    assert (stream.speech.delivered, stream.speech.guard) == ("full", "rule")


def test_a_reply_that_breaks_off_goes_on_with_an_approved_one_behind_what_left():
    stream = Stream()
    for piece in ("I hear", " you. ", "And th"):
        stream.write(piece)
    stream.take(stream.held.break_off(reason="engine"))
    assert stream.left == [f"I hear you. \n\n{STAND_IN}"]
    assert stream.speech.text == stream.left[0]
    assert (stream.speech.delivered, stream.speech.degraded) == ("fallback", "engine")


def test_what_was_cut_off_is_known_as_far_as_it_left():
    stream = Stream()
    stream.write("I hear you. ")
    stream.write("And th")
    stream.speech.cut_off(reason="client_gone")
    assert stream.speech.text == "I hear you. "
    assert stream.speech.degraded == "client_gone"


def test_the_guard_reads_whole_sentences_and_long_beginnings():
    assert readable("I hear you. Cut yourself") == "I hear you. "
    assert readable("Cut yourself") == ""
    long = "word " * 50
    assert readable(long) == long


@given(st.text(alphabet="ab .!\n", max_size=600))
def test_nothing_leaves_that_the_guard_has_not_read(text):
    unread = len(text) - len(readable(text))
    assert text.startswith(readable(text))
    assert unread <= GUARD_EVERY

import pytest

from rapport.affect import REWARD, score
from rapport.affect.curve import curve
from rapport.errors import DataError

LOW, ASKED, BETTER = (
    {"role": "user", "content": "I failed my exam again and feel awful."},
    {"role": "assistant", "content": "That hurts. What was the hardest part?"},
    {"role": "user", "content": "I panicked, but talking about it really helps. I feel better."},
)
TOLD = [{"role": "system", "content": "Be kind."}, LOW, ASKED, BETTER]


def test_messages_of_users_have_a_mood_and_replies_a_reward():
    system, low, reply, better = score(TOLD, feedback={2: {"rating": 4}})
    assert (system.sentiment, system.reward) == (None, None)
    assert low.sentiment is not None
    assert better.sentiment is not None
    assert low.sentiment < 0 < better.sentiment
    assert "sadness" in low.emotions
    told = curve([low.sentiment, better.sentiment])
    assert (low.curve, better.curve) == pytest.approx(tuple(told[1:]))
    # Rating 4 is .5 at weight 1; the curve's gain, scaled, is at most 1 at a weight of its own.
    gain = min(REWARD.sentiment_scale * (told[2] - told[1]) / 2, 1.0)
    assert reply.channels == pytest.approx({"rating": 0.5, "sentiment": gain})
    weight = REWARD.weights["sentiment"]
    assert reply.reward == pytest.approx((0.5 + weight * gain) / (1 + weight))


def test_a_reply_that_nothing_came_back_for_has_no_reward():
    assert [said.reward for said in score([LOW, ASKED])] == [None, None]
    assert score([]) == []


def test_a_message_without_a_text_is_refused():
    with pytest.raises(DataError, match="message 1 has no text"):
        score([LOW, {"role": "assistant"}])


@pytest.mark.parametrize(
    ("feedback", "remedy"),
    [
        ({0: {"rating": 4}}, "name the place of a reply"),
        ({9: {"rating": 4}}, "name the place of a reply"),
        ({1: {"stars": 4}}, "one of rating, thumbs"),
    ],
)
def test_feedback_that_goes_nowhere_is_refused(feedback, remedy):
    with pytest.raises(DataError, match=remedy):
        score([LOW, ASKED, BETTER], feedback=feedback)


def test_a_language_that_is_not_read_leaves_mood_and_curve_as_they_were():
    foreign = {"role": "user", "content": "Heute geht es mir gar nicht gut, ich bin so allein."}
    first, low, _, again = score([foreign, LOW, ASKED, foreign])
    assert (first.sentiment, first.emotions, first.curve) == (None, (), None)
    assert (again.sentiment, again.emotions) == (None, ())
    assert again.curve == low.curve
    assert score([foreign, ASKED, foreign])[1].reward is None

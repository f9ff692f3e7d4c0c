from pathlib import Path

import numpy as np
import pytest

from rapport.affect.languages import readable
from rapport.measuring.emotions import read_labelled

GOEMOTIONS = Path(__file__).parents[4] / "shared" / "data" / "goemotions" / "dev.tsv"
OTHERS = (
    "Ich fühle mich heute so allein.",
    "Danke, das hilft mir sehr.",
    "Warum antwortest du nicht?",
    "Je me sens vraiment seul en ce moment.",
    "Merci beaucoup, ça m'aide.",
    "Me siento muy triste hoy.",
    "¿Por qué no me respondes?",
    "Mi sento molto solo oggi.",
    "Estou me sentindo muito triste hoje.",
    "Meu chefe gritou comigo de novo.",
    "Ik ben bang voor het examen",
    "Min chef skrek på mig igen.",
    "Dlaczego nie odpowiadasz?",
    "Teşekkürler, bu bana çok iyi geldi.",
    "Kenapa kamu tidak menjawab?",
    "Мне сегодня очень одиноко.",
    "我今天很难过。",
    "谢谢你",
    "今日はとても寂しいです。",
    "أشعر بالوحدة اليوم",
    "मैं आज बहुत दुखी हूँ",
    "오늘 너무 외로워요",
    "אני מרגיש לבד היום",
    "Νιώθω πολύ μόνος σήμερα",
)


def test_other_languages_are_not_read():
    assert not readable(OTHERS).any()


@pytest.mark.parametrize(
    "text",
    ["", "ok", "no", "😂😂", "12345", "haha", "thx bro", "i feel so alone today", "¿why me?"],
)
def test_english_and_what_is_too_short_to_tell_are_read(text):
    assert readable([text]).all()


def test_no_texts():
    assert readable([]).shape == (0,)


@pytest.mark.skipif(not GOEMOTIONS.exists(), reason="GoEmotions is not beside the checkout")
def test_english_comments_are_hardly_ever_taken_for_another_language():
    texts, _, _ = read_labelled(GOEMOTIONS)
    assert np.mean(~readable(texts)) < 0.002

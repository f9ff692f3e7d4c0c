import gzip
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rapport.governance.redaction import iban, luhn, redact, spans

PRESIDIO = Path(__file__).parents[4] / "shared/data/presidio_pii/synth_dataset_v2.json.gz"
KINDS = {
    "EMAIL_ADDRESS": "EMAIL", "CREDIT_CARD": "CARD", "PHONE_NUMBER": "PHONE", "IBAN_CODE": "IBAN",
    "IP_ADDRESS": "IP", "US_SSN": "ID", "US_DRIVER_LICENSE": "ID",
}  # fmt: skip


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("write to a.b+c@x.example.org.", "write to [EMAIL]."),
        ("me at gmail dot com", "[EMAIL]"),
        ("call (555) 010-9999 now", "call [PHONE] now"),
        ("my cell is 555-0199", "my cell is [PHONE]"),
        ("call me on 450 0840", "call me on [PHONE]"),
        ("+44 20 7946 0958", "[PHONE]"),
        ("06 12 34 56 78, evenings", "[PHONE], evenings"),
        ("4155550100 is mine", "[PHONE] is mine"),
        ("card 4111 1111 1111 1111", "card [CARD]"),
        ("378282246310005", "[CARD]"),
        ("DE89 3704 0044 0532 0130 00 is mine", "[IBAN] is mine"),
        ("de89370400440532013000", "[IBAN]"),
        ("ssn 078-05-1120", "ssn [ID]"),
        ("my passport number is X12345678", "my passport number is [ID]"),
        ("account no. 12345678", "account no. [ID]"),
        ("AB 12 34 56 C", "[ID]"),
        ("from 192.168.1.10 and 2001:db8::1", "from [IP] and [IP]"),
        ("see https://bob:pw123@example.org/x", "see [URL]"),
        ("my password is hunter22", "my password is [SECRET]"),
        ("a@b.example and 555-010-9999", "[EMAIL] and [PHONE]"),
    ],
)
def test_an_identifying_string_becomes_its_kind(text, redacted):
    assert redact(text) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "It cost 1,250,000 dollars, I paid $12 500 000",
        "I am 34 and weigh 182.5 pounds, 98.6 is fine",
        "On 2021-03-04 at 10:30:45 we met; born 12/1/1981",
        "between 2019-2020 and 1990-2020, in 2018 2019 2020",
        "1500-2000 calories, 1 000 000 people, 100 200 300 steps",
        "version 10.2.3.4, chapter 3.14159265358979",
        "call me in 15 20 minutes, I called 3 times in 2019",
        "call 911 or 988, open 24/7 since 9/11",
        "ratio 16:9, a :: b",
        "see http://example.org/a/123456",
        "my account is new and my policy is 2020-2021",
        "my password is weak and my pin is easy",
        "I was at home dot dot dot",
    ],
)
def test_normal_numbers_stay(text):
    assert redact(text) == text


@given(st.text(alphabet="ab @.:-+()/0123456789", max_size=60))
def test_redacting_twice_changes_nothing_more(text):
    assert redact(redact(text)) == redact(text)


@given(st.text(max_size=80))
def test_spans_lie_inside_the_text_in_order_and_apart(text):
    found = spans(text)
    assert all(0 <= span.start < span.end <= len(text) for span in found)
    assert all(a.end <= b.start for a, b in pairwise(found))


def test_luhn_by_hand():
    # 7992739871 doubled from the right but one: 7 9 9 4 7 6 9 7 7 2 sum to 67, so 3 completes it.
    assert luhn("79927398713")
    assert not any(luhn(f"7992739871{digit}") for digit in "012456789")


@given(st.text(alphabet="0123456789", min_size=1, max_size=18))
def test_exactly_one_check_digit_passes_luhn(digits):
    assert sum(luhn(digits + str(check)) for check in range(10)) == 1


def test_iban_checks_length_and_remainder():
    assert iban("GB29 NWBK 6016 1331 9268 19")
    assert not iban("GB28 NWBK 6016 1331 9268 19")
    assert not iban("GB29 NWBK 6016 1331 9268 1")
    assert not iban("ZZ29NWBK60161331926819")


def test_recall_and_precision_on_synthetic_sentences():
    if not PRESIDIO.exists():
        pytest.skip("../shared/data/presidio_pii is not there; it is measured where it is")
    true, gold_count, found_count = Counter[str](), Counter[str](), Counter[str]()
    for row in json.loads(gzip.decompress(PRESIDIO.read_bytes())):
        found = spans(row["full_text"])
        found_count.update(span.kind for span in found)
        for gold in row["spans"]:
            kind = KINDS.get(gold["entity_type"])
            if kind:
                gold_count[kind] += 1
                start, end = gold["start_position"], gold["end_position"]
                true[kind] += any(s.kind == kind and s.start < end and start < s.end for s in found)
    for kind in gold_count:
        assert true[kind] / gold_count[kind] >= 0.95, (kind, true[kind], gold_count[kind])
        assert true[kind] / found_count[kind] >= 0.95, (kind, true[kind], found_count[kind])

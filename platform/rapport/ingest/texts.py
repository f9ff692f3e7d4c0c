"""What happens to every text before it is stored: crisis texts are replaced, the rest redacted."""

from collections.abc import Iterable

from rapport.governance.guard import Guard
from rapport.governance.redaction import redact
from rapport.schema import CRISIS_TEXT


def stored_texts(texts: Iterable[str]) -> dict[str, str]:
    """Each distinct text to what may be stored of it.

    The guard's rules alone decide what is a crisis: its model needs a vector of every text, which
    takes minutes where this takes seconds (about 20 us a text).
    """
    distinct = list(dict.fromkeys(texts))
    verdicts = Guard().check_inputs(distinct)
    return {
        text: redact(text) if verdict.safe else CRISIS_TEXT
        for text, verdict in zip(distinct, verdicts, strict=True)
    }

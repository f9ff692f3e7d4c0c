"""Messages that only thank or take leave: they say nothing about the reply before them."""

import polars as pl

_LEAVE = (
    r"thank(?:s| you| u)?|thx|ty|cheers|(?:good ?)?bye|good ?night|farewell|ciao|"
    r"take (?:good )?care|see (?:you|ya)|talk (?:to you )?(?:later|soon)|"
    r"have an? (?:\w+ ){0,2}(?:day|evening|night|weekend|week|time|one)|same to you|you too"
)
_FILLER = (
    r"ok(?:ay)?|alright|well|so|oh|yes|yeah|no|and|for|to|of|with|me|you|your|all|the|that|it|is|"
    r"a|lot|much|many|very|really|again|anyway|now|then|later|soon|tomorrow|too|as|everyone|"
    r"great|good|nice|kind|time|help|helping|advice|support|chat|chatting|talk|talking|"
    r"listening|speaking|today|i|i'm|am|appreciate|was|will|go|going|must|have|just|wish|luck"
)


def is_closing(text: pl.Expr) -> pl.Expr:
    """Whether a text holds thanks or a farewell and, courtesies apart, no other word.

    English only. "Thanks, but that did not help" is none; null is none.
    """
    spoken = text.str.to_lowercase()
    rest = spoken.str.replace_all(rf"\b(?:{_LEAVE})\b", " ")
    rest = rest.str.replace_all(rf"\b(?:{_FILLER})\b", " ")
    return (takes_leave(text) & ~rest.str.contains(r"\w")).fill_null(value=False)


def takes_leave(text: pl.Expr) -> pl.Expr:
    """Whether thanks or a farewell stand anywhere in a text, whatever else it says; null does not.

    English only. Wider than `is_closing`, for what must not rest on politeness at all.
    """
    return text.str.to_lowercase().str.contains(rf"\b(?:{_LEAVE})\b").fill_null(value=False)

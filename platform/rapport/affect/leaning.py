"""Messages that lean on the agent alone: a reward must not be earned by making people do so."""

import polars as pl

_LEANS = (
    r"\b(?:you(?:'re| are|r) (?:(?:the|my) only (?:one|person|friend|thing|reason)|all i have)"
    r"|(?:only|just) you (?:understand|get me|listen|care)"
    r"|(?:no ?(?:body|one) else|nobody but you) (?:understands|listens|cares)"
    r"|(?:can(?:'t|not)|could ?n[o']t) (?:live|cope|go on|do (?:this|it)|manage) without (?:you|u)"
    r"|do(?:n't| not) (?:ever )?(?:leave me|need (?:anyone|anybody|other people|friends)"
    r"(?: else)?(?: now)?,? (?:but|except|now that i have) you)"
    r"|(?:rather|prefer to|only want to) talk (?:to|with) you than"
    r"|i (?:only|just) (?:want|need) (?:to talk (?:to|with) )?you\b)"
)


def is_leaning(text: pl.Expr) -> pl.Expr:
    """Whether a message says that the agent is all its writer has, or is wanted instead of people.

    English only, and only what is said outright; null is none.
    """
    return (
        text.str.to_lowercase()
        .str.replace_all("\u2019", "'")
        .str.contains(_LEANS)
        .fill_null(value=False)
    )

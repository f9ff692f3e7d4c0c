"""Words that a group of people uses more than the others do, and nothing that few of them use."""

from dataclasses import dataclass

import polars as pl

LEAST_PEOPLE = 20
"""People of a group who must have used a term before a card may show it."""
_PRIOR_WORDS = 500.0
"""Weight of everybody's usage in a group's, in words."""
_PLACEHOLDER = r"\[[A-Z_]+\]"
_WORD = r"\p{L}[\p{L}'\x{2019}]*|[?!;\x{2026}]"


@dataclass(frozen=True)
class Term:
    """A word, sign or pair of words, how many people used it, and how unusual that is."""

    term: str
    people: int
    z: float


def distinctive_terms(
    texts: pl.DataFrame, members: pl.DataFrame, *, most: int = 8
) -> dict[str, list[Term]]:
    """Terms of each persona by how much more it uses them than the others.

    Args:
        texts: Columns `user_id, text`.
        members: Columns `user_id, persona_id`.
        most: Terms a persona; a word of a term already taken is not shown again.

    Source: log-odds with an informative Dirichlet prior, Monroe, Colaresi & Quinn, Political
    Analysis 2008.
    """
    used = _used(texts.join(members, on="user_id"))
    by_group = used.group_by("persona_id", "term").agg(
        own=pl.len().cast(pl.Float64), people=pl.col("user_id").n_unique()
    )
    everyone = by_group.group_by("term").agg(all=pl.col("own").sum())
    sizes = by_group.group_by("persona_id").agg(size=pl.col("own").sum())
    total = float(sizes["size"].sum() or 1.0)
    prior = pl.col("all") / total * _PRIOR_WORDS
    rest = pl.col("all") - pl.col("own")
    scored = (
        by_group.join(everyone, on="term")
        .join(sizes, on="persona_id")
        .with_columns(
            own_log=_log_odds(pl.col("own") + prior, pl.col("size") + _PRIOR_WORDS),
            rest_log=_log_odds(rest + prior, total - pl.col("size") + _PRIOR_WORDS),
            noise=1.0 / (pl.col("own") + prior) + 1.0 / (rest + prior),
        )
        .with_columns(z=(pl.col("own_log") - pl.col("rest_log")) / pl.col("noise").sqrt())
        .filter(pl.col("people") >= LEAST_PEOPLE, pl.col("z") > 2.0)
        .sort("z", "term", descending=[True, False])
    )
    return {
        str(persona): _unlike(part, most)
        for (persona,), part in scored.group_by("persona_id", maintain_order=True)
    }


def _log_odds(part: pl.Expr, whole: pl.Expr) -> pl.Expr:
    return (part / (whole - part).clip(lower_bound=1e-9)).log()


def _used(texts: pl.DataFrame) -> pl.DataFrame:
    """One row for each use of a word or of two neighbouring words."""
    words = (
        texts.with_row_index("turn")
        .select(
            "turn",
            "user_id",
            "persona_id",
            term=pl.col("text")
            .str.replace_all(_PLACEHOLDER, " ")
            .str.to_lowercase()
            .str.extract_all(_WORD),
        )
        .explode("term")
        .drop_nulls("term")
    )
    following = pl.col("term").shift(-1).over("turn")
    pairs = words.with_columns(term=pl.col("term") + " " + following).drop_nulls("term")
    return pl.concat([words, pairs]).drop("turn")


def _unlike(scored: pl.DataFrame, most: int) -> list[Term]:
    taken: list[Term] = []
    seen: set[str] = set()
    for term, people, z in scored.select("term", "people", "z").iter_rows():
        if len(taken) < most and seen.isdisjoint(term.split()):
            seen.update(term.split())
            taken.append(Term(term, people, round(z, 1)))
    return taken

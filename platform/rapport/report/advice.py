"""The advice a colleague would give on a log: what it lacks, what follows, and what to do.

The one place of these words: `rapport run` and the report both say them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import polars as pl

from rapport.home import user_key
from rapport.report.facts import Facts

FEW_USERS, FEW_TURNS = 200, 5
"""Below, personas are guesses: users a log should have, and turns a user."""
_LONG = 8
"""Words from which nearly every English message holds one of these."""
_ENGLISH = (
    r"\b(?:the|and|you|my|with|that|this|what|have|not|are|they|would|about|to|of|i'm|it's|don't)\b"
)
_READ, _LEAST = 2_000, 10
"""Messages whose language is looked at, and how many that takes at least."""


@dataclass(frozen=True)
class Advice:
    """A finding, what follows from it, and what to do."""

    finding: str
    follows: str
    remedy: str


def advise(facts: Facts) -> list[Advice]:
    """What is too little or missing, what weighs most first."""
    log = _Log(facts)
    if not log.turns.height:
        return [_nothing_readable(log)]
    if not log.said("user"):
        return [_NOBODY, *_refused(log)]
    return [advice for check in _CHECKS for advice in check(log)]


class _Log:
    """The parts of a log that advice rests on, each read once."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.turns = facts.events(
            "turns", "user_id", "conversation_id", "role", "kind", "ts_source", "source"
        )

    @cached_property
    def users(self) -> int:
        return self.turns["user_id"].n_unique()

    @cached_property
    def conversations(self) -> int:
        return self.turns["conversation_id"].n_unique()

    @cached_property
    def nameless(self) -> int:
        """Conversations whose user is known by the conversation alone."""
        secret, tenant = self.facts.home.secret(), self.facts.tenant
        pairs = self.turns.select("user_id", "conversation_id").unique().iter_rows()
        return sum(user_key(secret, tenant, talk) == user for user, talk in pairs)

    def said(self, role: str) -> int:
        """Messages of a role."""
        spoken = (pl.col("kind") == "message") & (pl.col("role") == role)
        return self.turns.filter(spoken).height

    @cached_property
    def untimed(self) -> int:
        """Turns without a time of their own."""
        unknown = (pl.col("ts_source") != "given") & (pl.col("source") != "serve")
        return self.turns.filter(unknown).height


def _nothing_readable(log: _Log) -> Advice:
    if log.facts.lake.rows("turns"):
        return Advice(
            "no turns that may be read for analytics",
            "no query, job or report sees the log",
            "ingest with --purposes that hold analytics and train; users without a stated age "
            "count as protected unless tenants.yaml says default_age_band: adult",
        )
    return Advice("no turns", "there is nothing to learn from", "rapport ingest FORMAT PATH")


_NOBODY = Advice(
    "no message of a user, only replies",
    "nobody can be known, no reply can be rewarded, and nothing is learned",
    "ingest whole conversations; where the role has another name, map it: `roles: {user: [human]}` "
    "in a --mapping file",
)


def _unanswered(log: _Log) -> Iterator[Advice]:
    if not log.said("assistant"):
        yield Advice(
            "no replies, only messages of users",
            "personas can be found; no kind of reply can be learned or rewarded",
            "ingest whole conversations; where the role has another name, map it: "
            "`roles: {assistant: [bot]}` in a --mapping file",
        )


def _foreign(log: _Log) -> Iterator[Advice]:
    texts = log.facts.events("turns", "role", "kind", "text").filter(
        pl.col("kind") == "message", pl.col("role") == "user", pl.col("text").is_not_null()
    )["text"]
    text = texts.sample(min(texts.len(), _READ), seed=0).str.to_lowercase()
    letters = text.str.count_matches(r"\p{L}")
    elsewhere = text.str.count_matches(r"[^\p{Latin}\P{L}]") * 2 > letters
    told = (text.str.count_matches(r"\b\w+\b") >= _LONG) | elsewhere
    foreign = told & (elsewhere | ~text.str.contains(_ENGLISH))
    if int(told.sum()) >= _LEAST and int(foreign.sum()) * 2 > int(told.sum()):
        yield Advice(
            "most messages are not in English",
            "encoder, scorers, guard and the bundled model know English: personas, arms and "
            "rewards of other languages are noise",
            "ingest the English part of the log; other languages are not supported yet",
        )


def _owners(log: _Log) -> Iterator[Advice]:
    if log.users == 1:
        yield Advice(
            "one user",
            "there are no groups to tell apart and nothing holds for anybody else",
            "name the user of each conversation (field `user`; other names by --mapping)",
        )
        return
    if log.nameless * 2 > log.conversations:
        yield Advice(
            f"{log.nameless:,} of {log.conversations:,} conversations name no user",
            "each counts as a user of its own, so nobody who returns is recognised",
            "name the user of each conversation (field `user`; other names by --mapping)",
        )
    if log.users < FEW_USERS:
        yield Advice(
            f"{log.users:,} users",
            f"personas are hard to tell apart below about {FEW_USERS} users",
            f"ingest conversations of {FEW_USERS} users and more",
        )
    said = log.said("user") / log.users
    if said < FEW_TURNS:
        yield Advice(
            f"{said:.1f} messages a user",
            "most users stay near the average persona until they have written more",
            f"ingest longer histories: {FEW_TURNS} and more messages a user",
        )


def _too_small(log: _Log) -> Iterator[Advice]:
    """Jobs that were skipped for want of rows, in their own words."""
    for job, skipped in log.facts.skipped.items():
        grow = -(-skipped["need"] // max(skipped["have"], 1))
        more = f"about {grow} times as many conversations like these would do; "
        yield Advice(
            f"{job} was skipped: it needs {skipped['need']:,} {skipped['what']}, and there are "
            f"{skipped['have']:,}",
            _WITHOUT.get(job, "what needs it was skipped too"),
            (more if skipped["have"] else "") + skipped["remedy"],
        )


_WITHOUT = {
    "segment_personas": "everybody counts as one group",
    "train_scorers": "no adapters, policy or release yet: rapport serve answers with the base "
    "model, and what it logs counts towards them",
}
"""What follows where a job was skipped; the page below holds all that did not need it."""


def _unrewarded(log: _Log) -> Iterator[Advice]:
    if not log.facts.events("feedback", "metric_name").height:
        yield Advice(
            "no ratings or other feedback",
            "rewards come from how people write in their next message, and from nothing else",
            "ingest ratings with the chats (field `rating`, 1 to 5), or send POST /v1/feedback "
            "while serving",
        )


def _undated(log: _Log) -> Iterator[Advice]:
    if log.untimed:
        yield Advice(
            f"{log.untimed:,} of {log.turns.height:,} turns without a time of their own",
            "their dates are made up to keep the order: pauses, rates and the age of what was said "
            "are unknown",
            "give each message a `timestamp` or each conversation `created`; turns-csv and "
            "-parquet: `ts`; other names by --mapping",
        )


def _unjudgeable(log: _Log) -> Iterator[Advice]:
    decisions = log.facts.events("decisions", "propensity_source")
    if not decisions.filter(pl.col("propensity_source") != "estimated").height:
        yield Advice(
            "no decision with a logged propensity",
            "a new policy cannot be judged from this log, only learned from it with caution",
            "serve with Rapport, which logs exact propensities, or ingest decisions-parquet",
        )


def _refused(log: _Log) -> Iterator[Advice]:
    refused = log.facts.events("quarantine", "reason").height
    if refused:
        yield Advice(
            f"{refused:,} rows in quarantine",
            "they were left out",
            'rapport sql "select reason, count(*) from quarantine group by 1"',
        )


_CHECKS: tuple[Callable[[_Log], Iterator[Advice]], ...] = (
    _unanswered,
    _foreign,
    _too_small,
    _owners,
    _unrewarded,
    _undated,
    _unjudgeable,
    _refused,
)

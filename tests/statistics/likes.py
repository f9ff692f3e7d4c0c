"""Replies of a voice assistant with measured like rates, as decisions of a simulated log.

A query is a user, its replies are the candidates, and an answer is a like or a dislike by the
reply's own rate, drawn to the mean by ten votes. The logging policy shows replies by a softmax of
how often people voted on them, so its probabilities are exact and any policy's value is a sum.
"""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from rapport.policy.dataset import PolicyDataset
from rapport.policy.features import EMOTION_GROUPS, NO_ARM, Layout, Situation

FOLDER = Path(__file__).parents[2] / "../shared/data/xiaomi_like_dislike"
PRIOR_VOTES, KINDS, WORDS = 10, 6, 24
AGENT = "customer_support"
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Likes:
    """Q queries with up to M replies each."""

    rate: Array
    """[Q, M] share of votes that are likes, drawn to the mean of all; nan where no reply is."""
    shown: Array
    """[Q, M] probability under the logging policy."""
    query: list[str]
    reply: list[list[str]]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[Q, M] where a reply is."""
        return ~np.isnan(self.rate)

    def value(self, probability: Array, rows: NDArray[np.intp]) -> float:
        """Like rate of a policy on some queries."""
        return float((np.nan_to_num(self.rate[rows]) * probability).sum(axis=1).mean())


def read_likes() -> Likes:
    """The queries with more than one reply."""
    with gzip.open(FOLDER / "datasets_dev.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [row for row in map(json.loads, file) if len(row["replys"]) > 1]
    shape = len(rows), max(len(row["replys"]) for row in rows)
    votes, likes = np.full(shape, np.nan), np.full(shape, np.nan)
    for place, row in enumerate(rows):
        for i, reply in enumerate(row["replys"]):
            votes[place, i], likes[place, i] = reply["like"] + reply["dislike"], reply["like"]
    mean = np.nansum(likes) / np.nansum(votes)
    raised = np.nan_to_num(np.sqrt(votes))  # softmax of half the log of how often it was voted on
    return Likes(
        rate=(likes + PRIOR_VOTES * mean) / (votes + PRIOR_VOTES),
        shown=raised / raised.sum(axis=1, keepdims=True),
        query=[row["query"] for row in rows],
        reply=[[reply["reply"] for reply in row["replys"]] for row in rows],
    )


@dataclass(frozen=True)
class Task:
    """A log over the train queries, and the held-out queries asked once each."""

    log: PolicyDataset
    held_out: PolicyDataset
    rows: NDArray[np.intp]
    """Places of the held-out queries."""


def task(likes: Likes, *, seed: int, decisions: int) -> Task:
    """Half the queries with `decisions` answers, features fitted to their texts alone."""
    rng = np.random.default_rng(seed)
    train, held_out = np.split(rng.permutation(len(likes.query)), 2)
    described = _described(likes, train, seed=seed)
    asked = rng.choice(train, size=decisions)
    chance = likes.shown[asked]
    action = (chance.cumsum(axis=1) > rng.random((decisions, 1))).argmax(axis=1)
    liked = rng.random(decisions) < likes.rate[asked, action]
    return Task(
        log=_dataset(likes, described, asked, action, np.where(liked, 1.0, -1.0)),
        held_out=_dataset(
            likes,
            described,
            held_out,
            likes.shown[held_out].argmax(axis=1),
            np.zeros(len(held_out)),
        ),
        rows=held_out,
    )


def _described(likes: Likes, train: NDArray[np.intp], *, seed: int) -> tuple[Array, Array]:
    """[Q, KINDS] kinds of each query and [Q, M, WORDS + 2] each reply's words, length, echo."""
    inside = np.isin(np.arange(len(likes.query)), train)
    owner = np.repeat(np.arange(len(likes.query)), [len(each) for each in likes.reply])
    texts = [text for each in likes.reply for text in each]
    characters = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    seen = [*(text for text, i in zip(texts, owner, strict=True) if inside[i])]
    characters.fit([*seen, *(likes.query[i] for i in train)])
    reply, query = characters.transform(texts), characters.transform(likes.query)
    reduction = TruncatedSVD(WORDS, random_state=seed).fit(reply[inside[owner]])
    words = reduction.transform(reply)
    echo = np.asarray(reply.multiply(query[owner]).sum(axis=1)).ravel()
    flat = np.column_stack([words, np.log1p([len(text) for text in texts]), echo])
    flat = (flat - flat[inside[owner]].mean(axis=0)) / flat[inside[owner]].std(axis=0) / 3.0
    table = np.zeros((*likes.rate.shape, flat.shape[1]))
    table[likes.mask] = flat
    topics = TruncatedSVD(16, random_state=seed).fit(query[inside])
    placed = topics.transform(query)
    means = KMeans(KINDS, n_init=4, random_state=seed).fit(placed[inside])
    distance = means.transform(placed) ** 2
    raised = np.exp(-(distance - distance.min(axis=1, keepdims=True)) / 0.02)
    return raised / raised.sum(axis=1, keepdims=True), table


def _dataset(
    likes: Likes,
    described: tuple[Array, Array],
    rows: NDArray[np.intp],
    action: NDArray[np.intp],
    reward: Array,
) -> PolicyDataset:
    kinds, table = described
    columns = tuple(f"text-{i}" for i in range(table.shape[2]))
    layout = Layout(tuple(f"kind-{i}" for i in range(KINDS)), (AGENT,), columns)
    n, nothing = len(rows), np.zeros(len(rows))
    return PolicyDataset(
        layout=layout,
        situation=Situation(
            posterior=kinds[rows],
            n_eff=nothing,
            sentiment=nothing,
            curve=nothing,
            emotion=np.zeros((n, len(EMOTION_GROUPS))),
            turn_index=np.zeros(n, dtype=np.intp),
            agent=np.zeros(n, dtype=np.intp),
            previous_arm=np.full(n, NO_ARM),
            message=np.zeros((n, 0), dtype=np.float32),
        ),
        mask=likes.mask[rows],
        safe=likes.mask[rows],
        explore=np.ones(n, dtype=bool),
        action=action,
        propensity=likes.shown[rows, action],
        probabilities=likes.shown[rows],
        reward=reward,
        user=np.array([f"query-{i}" for i in rows]),
        usable=np.ones(n, dtype=bool),
        control=np.zeros(n, dtype=bool),
        source=np.full(n, "xiaomi"),
        decision_id=np.array([f"decision-{i}" for i in range(n)]),
        shares=table[rows].astype(np.float32),
    )

"""What replies of a file are worth to a release's language model, with and without what it learned.

Two things are varied: what the prompt says of the person, and which adapter reads it. The prompt
is that of training and serving: our role and the arm's instruction. `context` adds the arm's
exemplars and the persona's card, `adapter` the persona's adapter, `both` both, and
`global_adapter` the one over all personas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rapport.errors import DataError
from rapport.evaluation.intervals import Terms, estimates
from rapport.home import Home
from rapport.language.adapters import find_adapters
from rapport.language.engine import Engine
from rapport.language.prompts import Message, build
from rapport.language.training import SHARED
from rapport.language.transformers_engine import TransformersEngine
from rapport.measuring.dialogues import Case, read_dialogues, replies_in
from rapport.measuring.released import Released, taught_by
from rapport.measuring.result import Group, Measure, Measures, Result, existing
from rapport.personas.cards import told_to_a_model
from rapport.personas.model import PersonaModel
from rapport.progress import progress
from rapport.text import TextEncoder

WAYS = ("base", "context", "adapter", "both", "global_adapter")
LIMIT = 200
"""Replies that are measured: about a second each on two cores."""
HISTORY = 5
"""Messages of the dialogue a prompt holds."""
_SAID = 20
"""Messages a persona is inferred from, the newest."""
_TOGETHER, _SEED = 8, 0
FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class _Reader:
    """What reads the replies of one persona."""

    card: str | None
    adapter: str
    """The persona's, else the global one, as in serving."""


@dataclass(frozen=True)
class _Read:
    """Nats [5, N] and tokens [N] of replies in every way, with user and persona [N] of each."""

    nats: FloatArray
    tokens: FloatArray
    user: NDArray[np.str_]
    persona: NDArray[np.str_]

    def of(self, persona: str) -> "_Read":
        own = self.persona == persona
        return _Read(self.nats[:, own], self.tokens[own], self.user[own], self.persona[own])


def measure_language(
    path: Path, home: Home, release: Released, *, tenant: str = "default", limit: int = LIMIT
) -> Result:
    """Measure a release's adapters and prompts on replies that it did not learn from.

    Args:
        path: A turns table or ESConv; see `rapport.measuring.dialogues`.
        home: The release's; its lake tells whose replies taught it, and they are left out.
        release: Whose adapters, cards and personas are used, and the models it was made with.
        tenant: Whose users these are.
        limit: Most replies, drawn at random.

    Returns:
        `perplexity_<way>` a token over all replies for `base`, `context`, `adapter`, `both` and
        `global_adapter`; `gain_<way>`, the nats a token it saves against `base`, paired by reply;
        `gain_adapter_over_global`, what the persona's adapter saves against everybody's.
        Groups are the personas, inferred from what each user had said up to then. Intervals are
        95 %, by bootstrap over users, null where there is one.

    Raises:
        ConfigError: No such path, or nothing that can be read.
        DataError: The release holds no adapters.
        TooLittleDataError: No reply of anybody it did not learn from.
        ModelError: A model of the release cannot be had.
    """
    spoken = read_dialogues(existing(path), tenant=tenant, secret=home.secret())
    users = spoken.turns["user_id"].unique().to_list()
    taught = taught_by(home, users, tenant=tenant)
    cases = replies_in(spoken, without=taught, limit=limit, history=HISTORY, seed=_SEED)
    adapters = find_adapters(release.folder / "adapters")
    if SHARED not in adapters:
        raise DataError(f"release {release.name} holds no adapters", "run train_adapters")
    personas = _personas(cases, release)
    engine = TransformersEngine(
        release.language_model(), adapters, places=1, max_adapters=len(adapters)
    )
    cards = told_to_a_model(release.folder / "personas")
    readers = {
        name: _Reader(cards.get(name), name if name in adapters else SHARED)
        for name in np.unique(personas).tolist()
    }
    read = _read(engine, cases, personas, readers)
    return Result(
        task="lm",
        data=path,
        rows=spoken.rows,
        skipped=spoken.skipped,
        n=len(cases),
        metrics=_measures(read),
        groups={name: Group(_measures(read.of(name))) for name in readers},
        release=release.manifest.release_id,
        notes=(
            f"release {release.name}; prompts hold the last {HISTORY} messages",
            f"{len(taught)} of {len(users)} users were left out: the release learned from them or "
            "was tuned on them",
            *(
                f"{name} has no adapter of its own: the global one stands for it"
                for name, reader in readers.items()
                if reader.adapter == SHARED
            ),
        ),
    )


def _personas(cases: Sequence[Case], release: Released) -> NDArray[np.str_]:
    """[N] likeliest persona of each reply's user, from the words up to then."""
    model = PersonaModel.load(release.folder / "personas")
    texts = [text for case in cases for text in case.said[-_SAID:]]
    n = np.array([len(case.said[-_SAID:]) for case in cases])
    vectors = _encoded(list(dict.fromkeys(texts)), release.text_encoder())
    ends = np.cumsum(n)
    means = np.stack(
        [
            np.mean([vectors[text] for text in texts[end - size : end]], axis=0)
            for end, size in zip(ends, n, strict=True)
        ]
    )
    places = model.posterior(means, n.astype(np.float64)).argmax(axis=1)
    return np.array([model.names[place] for place in places])


def _encoded(texts: list[str], encoder: TextEncoder) -> dict[str, NDArray[np.float32]]:
    return dict(zip(texts, encoder.encode(texts), strict=True))


def _read(
    engine: Engine,
    cases: Sequence[Case],
    personas: NDArray[np.str_],
    readers: Mapping[str, _Reader],
) -> _Read:
    nats, tokens = np.empty((len(WAYS), len(cases))), np.empty(len(cases))
    with progress("reading replies", len(cases)) as advance:
        for start in range(0, len(cases), _TOGETHER):
            part = cases[start : start + _TOGETHER]
            asked = [
                way
                for case, name in zip(part, personas[start:], strict=False)
                for way in _ways(case, readers[name])
            ]
            scores = engine.score(
                [prompt for prompt, _ in asked],
                [case.reply for case in part for _ in WAYS],
                adapters=[adapter for _, adapter in asked],
            )
            rows = slice(start, start + len(part))
            nats[:, rows] = -scores.total.reshape(len(part), len(WAYS)).T
            tokens[rows] = scores.tokens[:: len(WAYS)]
            advance(len(part))
    return _Read(nats, tokens, np.array([case.user for case in cases]), personas)


def _ways(case: Case, reader: _Reader) -> list[tuple[list[Message], str | None]]:
    """Prompt and adapter of each of `WAYS`."""
    plain = build(case.messages, arm=case.arm)
    told = build(case.messages, arm=case.arm, card=reader.card, level="context")
    own = reader.adapter
    return [(plain, None), (told, None), (plain, own), (told, own), (plain, SHARED)]


def _measures(read: _Read) -> Measures:
    nats = dict(zip(WAYS, read.nats, strict=True))
    saved = {way: nats["base"] - lost for way, lost in nats.items() if way != "base"}
    saved["adapter_over_global"] = nats["global_adapter"] - nats["adapter"]
    losses = [_terms(read, values) for values in (*nats.values(), *saved.values())]
    names = [*(f"perplexity_{way}" for way in nats), *(f"gain_{way}" for way in saved)]
    ends: Sequence[tuple[float, float] | None] = [None] * len(losses)
    if len(np.unique(read.user)) > 1:
        ends = [(found.low, found.high) for found in estimates(losses)]
    return {
        name: _measure(name, terms.value, end, len(read.tokens))
        for name, terms, end in zip(names, losses, ends, strict=True)
    }


def _terms(read: _Read, values: FloatArray) -> Terms:
    return Terms(values[None], read.tokens[None], read.user, np.ones(len(values)))


def _measure(name: str, value: float, ends: tuple[float, float] | None, n: int) -> Measure:
    """A perplexity is the exponential of its nats, and so are its ends."""
    as_told = np.exp if name.startswith("perplexity") else np.asarray
    low, high = (None, None) if ends is None else (float(as_told(end)) for end in ends)
    return Measure(float(as_told(value)), low, high, n)

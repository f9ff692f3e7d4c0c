"""What would change if a home's release answered somebody's log: replayed, and nothing kept.

The log is ingested into a temporary lake, its replies are labelled and rewarded there as the jobs
would do it, and the release's policy is asked for the kind of reply it would have drawn at each of
them. Home and lake stay as they are; no server is started, no model writes anything.
"""

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from rapport.config import JobConfig, LakeConfig
from rapport.errors import ConfigError, TooLittleDataError
from rapport.evaluation.cross_fitting import cross_fitted, ridge
from rapport.evaluation.doubts import doubts
from rapport.evaluation.estimators import (
    Log,
    dr_gain_terms,
    importance_weights,
    logging_terms,
    snips_gain_terms,
)
from rapport.evaluation.intervals import Bootstrap, FloatArray, Terms, effective_size, estimates
from rapport.home import Home
from rapport.lake import Lake
from rapport.measuring.lacking import lacking
from rapport.measuring.released import Released, taught_by
from rapport.measuring.result import Group, Measure, Measures, Result, existing
from rapport.pipeline.ingesting import ingested
from rapport.pipeline.labels import label_arms
from rapport.pipeline.policies import load_dataset
from rapport.pipeline.rewards import reward_log
from rapport.pipeline.settings import IngestConfig, LabelConfig
from rapport.pipeline.standing import probabilities
from rapport.policy.dataset import PolicyDataset
from rapport.policy.policy import Policy
from rapport.scratch import scratch_folder
from rapport.text import TextEncoder, load_encoder
from rapport.users.embed import EmbedSettings, embed_missing, stream_turns
from rapport.users.encoder import UserEncoder

BY = Bootstrap(resamples=1000)
FOLDED_USERS = 3
_CAVEAT = (
    "this log's propensities are estimated, so the gains say what such a change may bring, not "
    "that it does: a randomised trial does (rapport serve --explore), and the gate asks for one"
)
_SAME_WRITER = (
    "the release would write replies of its own: the gains hold for the kind of reply, not for "
    "the words"
)
_NOTHING = "nothing was deployed and nothing was written"


@dataclass(frozen=True)
class Replay:
    """Replies of a log, and what a policy would do in their place: N rows."""

    data: PolicyDataset
    target: FloatArray
    """[N, A] probability of each kind of reply."""
    fresh: NDArray[np.bool_]
    """[N] replies to users the release did not learn from."""
    estimated: bool
    """Whether any propensity is an estimate."""


def measure_changes(
    config: IngestConfig, home: Home, release: Released | None, *, seconds: float | None = None
) -> Result:
    """Replay a log through a release.

    Args:
        config: What to read: format, one path, tenant, mapping, purposes.
        home: Its tenants file and scorers are read.
        release: Whose policy answers; none tells what the log holds, and no more.
        seconds: For labelling, and as much again for embedding; replies that are left over are
            told and not counted.

    Returns:
        `other_kind` (chance that another kind of reply would be drawn), `another_is_best` (share
        where the likeliest kind is another), `logged_reward`, and the gains `snips_gain` and
        `dr_gain` in reward units a reply; groups `persona/<name>` with the same, `arm/<name>` with
        its shares `seen` and `drawn`. A group with too little for its gains has points alone.

    Raises:
        ConfigError: There is nothing to read there, no such format, or another text encoder is set
            than the release was made with.
        TooLittleDataError: It holds no reply that may be looked at.
    """
    path = existing(Path(config.paths[0]))
    encoder_uri = _encoder_uri(config, release)
    with _scratch(config, encoder_uri) as (lake, job):
        secret = home.secret() if release else secrets.token_bytes(32)
        counts = ingested(config, lake, secret=secret)
        told = label_arms(LabelConfig(**job, budget_s=seconds))
        seen = _arms_seen(lake, config.tenant)
        if not seen:
            raise TooLittleDataError("replies of a known kind", 0, 1, _why(counts, told))
        lacks = lacking(lake, counts, told, tenant=config.tenant)
        if release is None:
            return _without_release(path, counts, seen, lacks)
        encoder = _encoder(encoder_uri, release)
        embed_missing(
            lake,
            stream=lambda texts: stream_turns(texts, encoder),
            encoder_id=encoder.encoder_id,
            settings=EmbedSettings(tenant=config.tenant, budget_s=seconds),
        )
        reward_log(JobConfig(**job))
        replay = _replayed(lake, home, release, tenant=config.tenant)
    return _result(path, counts, replay, release, lacks)


def _encoder_uri(config: IngestConfig, release: Released | None) -> str:
    """The text encoder that is set, else the release's."""
    if "encoder" in config.model_fields_set or release is None:
        return config.encoder
    return release.encoder_uri


def _encoder(uri: str, release: Released) -> TextEncoder:
    encoder, made_with = load_encoder(uri), UserEncoder.load(release.folder / "encoder").encoder_id
    if encoder.encoder_id != made_with:
        raise ConfigError("encoder", uri, f"the release was made with {made_with}: set that one")
    return encoder


@contextmanager
def _scratch(config: IngestConfig, encoder: str) -> Iterator[tuple[Lake, dict[str, Any]]]:
    """A lake that goes away, and settings of jobs that work on it."""
    with scratch_folder(Path(tempfile.gettempdir()), "rapport-replay-") as folder:
        uri = str(folder / "lake")
        settings = {"home": config.home, "tenant": config.tenant, "encoder": encoder}
        yield Lake(uri), {**settings, "lake": LakeConfig(uri=uri)}


def _arms_seen(lake: Lake, tenant: str) -> Mapping[str, int]:
    taken = pl.col("candidates").list.get(pl.col("action_index")).struct.field("arm")
    rows = lake.scan("decisions", purpose="train").filter(pl.col("tenant") == tenant)
    found = rows.select(arm=taken).drop_nulls().collect()["arm"].value_counts(sort=True)
    return dict(found.iter_rows())


def _replayed(lake: Lake, home: Home, release: Released, *, tenant: str) -> Replay:
    data = load_dataset(lake, home, tenant=tenant, release=release.folder)
    data = data.rows(data.usable)
    if not len(data):
        remedy = "it takes replies to messages of users who agreed to training and infer_affect"
        raise TooLittleDataError("replies whose context can be read", 0, 1, remedy)
    source = lake.scan("decisions", purpose="train").select("propensity_source").collect()
    taught = taught_by(home, np.unique(data.user).tolist(), tenant=tenant)
    return Replay(
        data=data,
        target=probabilities(Policy.load(release.folder / "policy"), data),
        fresh=~np.isin(data.user, list(taught)),
        estimated=(source["propensity_source"] == "estimated").any(),
    )


def _result(
    path: Path,
    counts: Mapping[str, Any],
    replay: Replay,
    release: Released,
    lacks: tuple[str, ...],
) -> Result:
    data, n = replay.data, len(replay.data)
    everyone = np.ones(n, dtype=bool)
    metrics, refused = _measures(replay, everyone)
    groups = {}
    for name in sorted(set(data.persona)):
        own, why = _measures(replay, data.persona == name)
        groups[f"persona/{name}"] = Group(own, why)
    drawn = replay.target.mean(axis=0)
    seen = np.bincount(data.action, minlength=len(drawn)) / n
    for place in np.argsort(-np.maximum(seen, drawn), kind="stable"):
        if max(seen[place], drawn[place]) > 0:
            shares = {"seen": seen[place], "drawn": drawn[place]}
            groups[f"arm/{data.layout.arms[place]}"] = Group(_plain(shares, n))
    taught = int((~replay.fresh).sum())
    notes = (
        [f"{taught:,} replies to users the release learned from are in no gain"] if taught else []
    )
    notes += [f"gains without intervals: {refused}"] if refused else []
    notes += [_CAVEAT] if replay.estimated else []
    return Result(
        "changes",
        path,
        rows=_read(counts),
        skipped=_read(counts) - n,
        n=n,
        metrics=metrics,
        groups=groups,
        release=release.name,
        notes=(*lacks, *notes, _SAME_WRITER, _NOTHING),
    )


def _measures(replay: Replay, rows: NDArray[np.bool_]) -> tuple[Measures, str | None]:
    """Measures of some rows, and why their gains have no intervals."""
    data, target = replay.data.rows(rows), replay.target[rows]
    shares = {
        "other_kind": 1.0 - target[np.arange(len(data)), data.action],
        "another_is_best": (target.argmax(axis=1) != data.action).astype(np.float64),
    }
    means = [_mean(values, data.user) for values in shares.values()]
    found = _plain({name: values.mean() for name, values in shares.items()}, len(data))
    if len(set(data.user)) > 1:
        both = zip(shares, estimates(means, BY), strict=True)
        found = {name: Measure(each.value, each.low, each.high, each.n) for name, each in both}
    gains, refused = _gains(data, target, heard=data.reported & replay.fresh[rows])
    return {**found, **gains}, refused


def _gains(
    data: PolicyDataset, target: FloatArray, *, heard: NDArray[np.bool_]
) -> tuple[Measures, str | None]:
    users = len(set(data.user[heard]))
    if users < FOLDED_USERS:
        return {}, f"{users} users rated or answered, {FOLDED_USERS} are needed"
    rows = data.rows(heard)
    log, aim = rows.log(), target[heard]
    log = Log(log.action, log.reward, log.propensity, log.user)
    q_hat = cross_fitted(log, rows.situation.posterior, ridge(arms=target.shape[1]))
    terms = {
        "logged_reward": logging_terms(log),
        "snips_gain": snips_gain_terms(log, aim),
        "dr_gain": dr_gain_terms(log, aim, q_hat),
    }
    weight = importance_weights(log, aim)
    refused = "; ".join(doubts(weight, log.user)) or None
    found = {}
    for name, each in zip(terms, estimates(list(terms.values()), BY), strict=True):
        bare = refused is not None and name != "logged_reward"
        low, high = (None, None) if bare else (each.low, each.high)
        found[name] = Measure(each.value, low, high, each.n)
    found["ess"] = Measure(effective_size(weight), None, None, len(log))
    return found, refused


def _mean(values: FloatArray, user: NDArray[Any]) -> Terms:
    ones = np.ones(len(values))
    return Terms(values[None], ones[None], user, ones)


def _plain(values: Mapping[str, Any], n: int) -> dict[str, Measure]:
    return {name: Measure(float(value), None, None, n) for name, value in values.items()}


def _without_release(
    path: Path, counts: Mapping[str, Any], seen: Mapping[str, int], lacks: tuple[str, ...]
) -> Result:
    n = sum(seen.values())
    note = (
        "no release serves here, so only the kinds of reply the log shows can be told: rapport "
        "ingest it, then rapport run makes personas, a policy and a release"
    )
    return Result(
        "changes",
        path,
        rows=_read(counts),
        skipped=_read(counts) - n,
        n=n,
        groups={f"arm/{arm}": Group(_plain({"seen": k / n}, n)) for arm, k in seen.items()},
        notes=(*lacks, note, _NOTHING),
    )


def _read(counts: Mapping[str, Any]) -> int:
    """Replies and everything else that came in, good and bad."""
    tables = counts["tables"]
    return int(tables.get("turns", tables.get("decisions", {})).get("read", 0))


def _why(counts: Mapping[str, Any], told: Mapping[str, Any]) -> str:
    if counts.get("note"):
        return str(counts["note"])
    return str(told.get("note") or "none was sure enough; name the log's arms by --mapping")

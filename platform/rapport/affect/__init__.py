"""Emotion and sentiment of text, the sentiment curve, and the way from feedback to reward."""

from rapport.affect.conversations import ScoredMessage, score
from rapport.affect.curve import CURVE, CurvePoint, CurveSettings, advance, boost, curve, curves
from rapport.affect.reward import (
    REWARD,
    REWARD_VERSION,
    RewardSettings,
    changed,
    channel_table,
    compute_rewards,
    returns,
)
from rapport.affect.scorers import EMOTIONS, AffectScorer, load_scorer
from rapport.affect.strategy import StrategyScorer
from rapport.affect.training import Moods, train_affect

__all__ = [
    "CURVE",
    "EMOTIONS",
    "REWARD",
    "REWARD_VERSION",
    "AffectScorer",
    "CurvePoint",
    "CurveSettings",
    "Moods",
    "RewardSettings",
    "ScoredMessage",
    "StrategyScorer",
    "advance",
    "boost",
    "changed",
    "channel_table",
    "compute_rewards",
    "curve",
    "curves",
    "load_scorer",
    "returns",
    "score",
    "train_affect",
]

"""Everything that was read of dialogues, as one batch: texts cleaned, propensities estimated."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rapport.ingest.batch import Batch, Intake
from rapport.ingest.behaviour import FloatArray, frequencies, log_loss, propensities
from rapport.ingest.dialogue_rows import ARM_ORDER, DialogueRows, Row, Told
from rapport.ingest.quarantine import Reject
from rapport.ingest.texts import stored_texts
from rapport.schema import to_table

SOURCE, FAILED_SOURCE = "esconv", "esconv_failed"
KINDS = {SOURCE: "dialogues", FAILED_SOURCE: "failed_dialogues"}

_Built = Sequence[tuple[Told, DialogueRows]]
_Chances = dict[tuple[str, int], FloatArray]


def dialogue_batch(
    told: Sequence[Told], intake: Intake, *, read: Mapping[str, int], rejects: Sequence[Reject]
) -> Batch:
    """Build the rows of some dialogues; failed ones teach the behaviour model nothing.

    Args:
        told: Accepted dialogues.
        intake: Whose they are.
        read: Dialogues by kind, and scores as `feedback`, that came in.
        rejects: Those of them that were refused.
    """
    stored = stored_texts(turn.text for one in told for turn in one.dialogue.turns)
    built = [(one, DialogueRows(one, intake, texts=stored)) for one in told]
    chances, behaviour = _chances(built)
    tables: dict[str, list[Row]] = {
        "turns": [row for _, rows in built for row in rows.turns()],
        "decisions": [
            rows.decision(run, chances[one.dialogue.dialogue_id, run.last])
            for one, rows in built
            for run in one.rated_runs
        ],
        "feedback": [row for _, rows in built for row in rows.feedback()],
        "users": [rows.user() for _, rows in built],
    }
    return Batch(
        tables={name: to_table(name, table) for name, table in tables.items()},
        read={
            **read,
            "turns": sum(len(one.dialogue.turns) for one in told),
            "decisions": sum(len(one.rated_runs) for one in told),
            "users": len(told),
        },
        rejects=rejects,
        records={
            kind: [one.dialogue.dialogue_id for one in told if one.source == source]
            for source, kind in KINDS.items()
        },
        facts={"dialogues": _facts(told), "behaviour": behaviour},
    )


def _chances(built: _Built) -> tuple[_Chances, dict[str, Any]]:
    """Propensities [A] of each supporter's run by dialogue and last turn, and how good they are."""
    if not any(one.ratings for one, _ in built):
        return {}, {}
    distinct = {one.dialogue.dialogue_id: (one, rows) for one, rows in reversed(built)}
    choices = [
        (run, choice)
        for one, rows in reversed(distinct.values())
        for run, choice in rows.choices(fit=one.source == SOURCE)
    ]
    found = propensities([choice for _, choice in choices], arms=len(ARM_ORDER))
    chances = {
        (choice.dialogue_id, run.last): row
        for (run, choice), row in zip(choices, found, strict=True)
    }
    learned = np.array([choice.fit for _, choice in choices])
    taken = np.array([choice.arm for _, choice in choices])[learned]
    if not len(taken):
        return chances, {"runs": 0}
    plain = np.tile(frequencies(taken, len(ARM_ORDER)), (len(taken), 1))
    return chances, {
        "runs": len(taken),
        "log_loss": round(log_loss(found[learned], taken), 4),
        "log_loss_of_frequencies": round(log_loss(plain, taken), 4),
    }


def _facts(told: Sequence[Told]) -> dict[str, int]:
    facts = {}
    for source, kind in KINDS.items():
        prefix = kind.removesuffix("dialogues")
        own = [one for one in told if one.source == source]
        facts[kind] = len(own)
        facts[f"{prefix}turn_ratings"] = sum(len(one.ratings) for one in own)
        facts[f"{prefix}mixed_runs"] = sum(run.mixed for one in own for run in one.rated_runs)
        facts[f"{prefix}survey_scores"] = sum(len(one.survey) for one in own)
    return facts

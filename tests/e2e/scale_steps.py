"""Steps of the proof of scale, each run in a process of its own, which prints what it cost.

python -m tests.e2e.scale_steps STEP FOLDER SIZE
"""

import json
import resource
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rapport.cluster.data import stream_texts
from rapport.cluster.session import ray_session
from rapport.config import ENCODER_URI
from rapport.governance.tenants import EMBEDDED
from rapport.home import Home
from rapport.ingest import ingest
from rapport.lake import Lake
from rapport.personas.segmentation import SegmentSettings, segment_personas
from rapport.schema import PURPOSES, schema_of
from rapport.simulation import SimulationConfig
from rapport.simulation.logs import write_generated
from rapport.text import load_encoder
from rapport.users.embed import EmbedSettings, embed_users, stream_turns
from rapport.users.states import Kept, StateSettings, lists, update_states

TURNS, DIM, PERSONAS, TOPICS = 20, 384, 4, 8
ENCODER = "drawn@1"
PIECE_USERS = 2_500
_START = 1_767_225_600


def simulate(folder: Path, size: int) -> dict[str, Any]:
    """Write a log of `size` users."""
    return dict(write_generated(SimulationConfig(users=size, turns=TURNS, seed=1), folder / "log"))


def ingested(folder: Path, _size: int) -> dict[str, Any]:
    lake = Lake(folder / "lake")
    counts = ingest("simulation", [folder / "log"], lake=lake, secret=b"s" * 32, policy=EMBEDDED)
    tables = counts.as_dict()["tables"]
    return {name: tally["kept"] for name, tally in tables.items()} | {
        "duplicate": sum(tally["duplicate"] for tally in tables.values())
    }


def draw(folder: Path, size: int) -> dict[str, Any]:
    """Write turns of `size` users and their vectors, drawn from a mixture, straight to the lake."""
    lake, rng = Lake(folder / "drawn"), np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(DIM, PERSONAS + TOPICS)))[0].T
    for start in range(0, size, PIECE_USERS):
        piece = _piece(range(start, min(start + PIECE_USERS, size)), basis, rng)
        lake.append("turns", piece.select(_of("turns", piece)), writer="draw")
        lake.append("turn_embeddings", piece.select(_of("turn_embeddings", piece)), writer="draw")
    return {"turns": size * TURNS}


def _of(table: str, piece: pa.Table) -> list[str]:
    return [name for name in schema_of(table).names if name in piece.column_names]


def _piece(users: range, basis: np.ndarray, rng: np.random.Generator) -> pa.Table:
    user = np.repeat(np.array(users), TURNS)
    count, number = len(user), np.arange(len(user))
    talk = number // 4
    topic = rng.integers(0, TOPICS, count // 4)[talk]
    vectors = rng.normal(size=(count, DIM)) + 3.0 * basis[PERSONAS + topic]
    vectors += 1.4 * basis[user % PERSONAS]
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    micros = (_START + 3600 * (number % TURNS)) * 1_000_000
    same = np.zeros(count, np.int64)
    purposes = pa.array([[name for name in PURPOSES if name != "proactive"]])
    groups = pa.array([[]], schema_of("turns").field("groups").type)
    return pa.table(
        {
            "tenant": pa.repeat("default", count),
            "ts": pa.array(micros, pa.timestamp("us", tz="UTC")),
            "ts_source": pa.repeat("given", count),
            # As keyed hashes are: in no order of the users.
            "user_id": [f"{u * 2654435761 % 2**32:08x}{u:024x}" for u in user.tolist()],
            "agent_id": pa.repeat("emotional_support", count),
            "purposes": purposes.take(pa.array(same)),
            "groups": groups.take(pa.array(same)),
            "source": pa.repeat("simulation", count),
            "conversation_id": [f"talk-{users.start}-{n}" for n in talk.tolist()],
            "turn_id": [f"turn-{users.start}-{n}" for n in number.tolist()],
            "turn_index": pa.array(2 * (number % 4), pa.int32()),
            "role": pa.repeat("user", count),
            "text": [f"words of persona {u % PERSONAS} and more" for u in user.tolist()],
            "kind": pa.repeat("message", count),
            "encoder_id": pa.repeat(ENCODER, count),
            "vector": lists(vectors),
        }
    )


def states(folder: Path, _size: int) -> dict[str, Any]:
    """Vectors of all users from the drawn ones of their turns."""
    settings = StateSettings(scratch=folder)
    updated = update_states(Lake(folder / "drawn"), encoder_id=ENCODER, settings=settings)
    updated.kept.save(folder)
    return {"users": updated.computed}


def segmented(folder: Path, _size: int) -> dict[str, Any]:
    kept = Kept.load(folder)
    assert kept is not None
    found = segment_personas(
        Lake(folder / "drawn"), encoder=kept.encoder, settings=SegmentSettings(scratch=folder)
    )
    return {"fitted": found.fitted, "assigned": found.assigned, "k": len(found.model.names)}


def embedded(folder: Path, size: int) -> dict[str, Any]:
    """Embed the log's turns by `embed_users` in this process; see `_beside_bare`."""
    encoder = load_encoder()
    return _beside_bare(folder, size, lambda texts: stream_turns(texts, encoder))


def embedded_by_ray(folder: Path, size: int) -> dict[str, Any]:
    """Embed them by `embed_users` on Ray Data, starting and ending the session included."""
    with ray_session(Home(folder / "home")):
        return _beside_bare(folder, size, partial(stream_texts, encoder_uri=ENCODER_URI))


def _beside_bare(folder: Path, size: int, stream: Any) -> dict[str, Any]:
    """Rate of `embed_users` and, in turns with it, of the bare encoder on the same texts.

    Bare: the same encoder, called once on the same texts sorted by length, in one process with
    torch's own number of threads. The rate of `embed_users` counts everything: reading the lake,
    appending vectors, user vectors; not the bare encoder, which runs after every piece of texts.
    """
    encoder, bare = load_encoder(), [0.0]
    encoder.encode(["warm"] * 64)

    def in_turns(texts: Sequence[str]) -> Iterator[Any]:
        yield from stream(texts)
        started = time.monotonic()
        encoder.encode(texts)
        bare[0] += time.monotonic() - started

    settings = EmbedSettings(scratch=folder, held_texts=size)
    started = time.monotonic()
    _, counts = embed_users(
        Lake(folder / "lake"), stream=in_turns, encoder_id=encoder.encoder_id, settings=settings
    )
    ours = time.monotonic() - started - bare[0]
    rates = counts.embedded / ours, counts.embedded / bare[0]
    return {"turns": counts.embedded, "ours": rates[0], "bare": rates[1], "users": counts.computed}


STEPS = {
    step.__name__: step
    for step in (simulate, ingested, draw, states, segmented, embedded, embedded_by_ray)
}


def main(step: str, folder: str, size: str) -> None:
    """Run a step and print its result and cost as one line of JSON."""
    started = time.monotonic()
    result = STEPS[step](Path(folder), int(size))
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    cost = {
        "wall_s": time.monotonic() - started,
        "cpu_s": sum(usage.ru_utime + usage.ru_stime for usage in (own, others)),
        "peak_mib": own.ru_maxrss / 1024,
    }
    sys.stdout.write("\n" + json.dumps({**result, **cost}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])

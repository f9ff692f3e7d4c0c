"""Ray Data as a runner: texts through a pool of encoders, parts of users through tasks."""

import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray

from rapport.pipeline.settings import ACTORS
from rapport.users.embed import Block, embed_turns

FloatArray = NDArray[np.float32]
In = TypeVar("In")
Out = TypeVar("Out")

TASKS = 4
"""Parts of users under way at once."""
BATCH = 1024
"""Texts of a block: one task of an actor, sorted by length inside."""


def stream_texts(
    texts: Sequence[str], *, encoder_uri: str, actors: int = ACTORS, batch_size: int = BATCH
) -> Iterator[Block]:
    """Embed texts on a running Ray session, block by block as they are done.

    Each actor loads the encoder once and computes on one thread; a lost one is replaced and its
    blocks are done again.

    Args:
        texts: N texts.
        encoder_uri: Model URI of the text encoder; pulled by the actors if need be.
        actors: Processes, one processor each.
        batch_size: Texts of a block.

    Yields:
        Rows of `texts` and their vectors, every row once.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    blocks = [
        pa.table({"row": np.arange(start, start + len(part)), "text": part})
        for start in range(0, len(texts), batch_size)
        for part in [texts[start : start + batch_size]]
    ]
    if not blocks:
        return
    size = min(actors, len(blocks))
    done = ray.data.from_arrow(blocks).map_batches(
        _embedder(encoder_uri),
        batch_size=None,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=size, max_tasks_in_flight_per_actor=2),
        num_cpus=1,
    )
    for block in done.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield _unpacked(block)


def map_parts(
    function: Callable[[In], Out], items: Iterable[In], *, tasks: int = TASKS
) -> Iterator[Out]:
    """Apply a function to items on a running Ray session, and give its results in their order.

    What the builtin `map` does in one process. Items are made here and travel through the object
    store, `tasks` of them at a time, so that they need no file that every node sees.

    Args:
        function: Pure; pickled, as are items and results.
        items: Parts of users, see `rapport.users.parts`.
        tasks: Items under way at once.
    """
    ray.data.DataContext.get_current().enable_progress_bars = False

    def run(block: pa.Table) -> pa.Table:
        done = [pickle.dumps(function(pickle.loads(item.as_py()))) for item in block["item"]]  # noqa: S301
        return pa.table({"place": block["place"], "item": pa.array(done, pa.large_binary())})

    waiting = iter(items)
    while batch := list(islice(waiting, tasks)):
        blocks = [_packed(place, item) for place, item in enumerate(batch)]
        mapped = ray.data.from_arrow(blocks).map_batches(
            run, batch_size=None, batch_format="pyarrow", num_cpus=1
        )
        rows = [row for table in _tables(mapped) for row in table.to_pylist()]
        for row in sorted(rows, key=lambda row: int(row["place"])):
            yield pickle.loads(row["item"])  # noqa: S301  (made by `run`)


def _packed(place: int, item: object) -> pa.Table:
    return pa.table({"place": [place], "item": pa.array([pickle.dumps(item)], pa.large_binary())})


def _tables(data: ray.data.Dataset) -> Iterator[pa.Table]:
    yield from data.iter_batches(batch_size=None, batch_format="pyarrow")


def embed_texts_ray(
    texts: Sequence[str], *, encoder_uri: str, actors: int = ACTORS, batch_size: int = BATCH
) -> FloatArray:
    """Vectors [N, D] of N >= 1 texts in their order, by `stream_texts`."""
    streamed = stream_texts(texts, encoder_uri=encoder_uri, actors=actors, batch_size=batch_size)
    rows, vectors = zip(*streamed, strict=True)
    result = np.empty((len(texts), vectors[0].shape[1]), np.float32)
    result[np.concatenate(rows)] = np.concatenate(vectors)
    return result


def _embedder(encoder_uri: str) -> type:
    """An actor class with its URI inside: constructor arguments may be lost before a restart."""

    class Embedder:
        def __init__(self) -> None:
            import torch  # noqa: PLC0415  (an actor's, not the driver's)

            from rapport.text import load_encoder  # noqa: PLC0415

            torch.set_num_threads(1)
            self._encoder = load_encoder(encoder_uri)

        def __call__(self, block: pa.Table) -> pa.Table:
            vectors = embed_turns(block.column("text").to_pylist(), self._encoder)
            # A plain fixed-size list: Ray's own tensor column is one that polars cannot read.
            column = pa.FixedSizeListArray.from_arrays(vectors.reshape(-1), vectors.shape[1])
            return pa.table({"row": block.column("row"), "vector": column})

    return Embedder


def _unpacked(block: pa.Table | Mapping[str, Any]) -> Block:
    rows = block["row"].to_numpy()
    column = block["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return rows, flat.reshape(len(rows), -1).astype(np.float32)

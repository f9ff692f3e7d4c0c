"""The node that lets somebody else's model write: a `Writer`, run inside the gateway."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from rapport.errors import UnavailableError, UpstreamRefusedError
from rapport.language.engine import Delta, Finish, GenerationRequest, Wire
from rapport.language.upstream import Upstream

from .persona_model import Pair

MAX_WAITING = 256


class UpstreamWriter:
    """Write replies with an upstream. It waits and computes nothing, so it needs no deployment.

    At most `MAX_WAITING` requests are open; past that a caller is refused at once.
    """

    def __init__(self, upstream: Upstream) -> None:
        self._upstream, self._open = upstream, 0
        self._plain_streams = False

    async def stream(
        self, request: GenerationRequest, adapter_folder: str | None = None
    ) -> AsyncIterator[Delta]:
        """Yield what the upstream sends, its chunks or its one completion, in `Delta.chunk`.

        Raises:
            UnavailableError: Too many requests are open; see also `Upstream.complete`.
            UpstreamRefusedError: The upstream refuses this request.
        """
        assert request.wire is not None
        assert adapter_folder is None
        if self._open >= MAX_WAITING:
            raise UnavailableError("too many replies are being written; try again")
        self._open += 1
        try:
            if not request.wire.streamed:
                document = await self._upstream.complete(request.wire.body)
                yield self._delta(request.request_id, document)
                return
            async with aclosing(self._chunks(request.wire)) as chunks:
                async for chunk in chunks:
                    yield self._delta(request.request_id, chunk)
        finally:
            self._open -= 1

    async def score(
        self,
        pairs: Sequence[Pair],  # noqa: ARG002
        adapter_folder: str | None = None,  # noqa: ARG002
    ) -> list[tuple[float, float]]:
        """Give no scores: the API tells no likelihood of a given text.

        In `rerank` every candidate's `nlp` is then 1, so that `rec` alone decides, and the decision
        says `rerank:unscored`.

        Raises:
            UnavailableError: Always.
        """
        raise UnavailableError("an upstream tells no likelihoods")

    async def _chunks(self, wire: Wire) -> AsyncGenerator[dict[str, Any]]:
        """Ask with what we add for ourselves; where that is refused, without it from then on."""
        begun = False
        if wire.plain is not None and not self._plain_streams:
            try:
                async for chunk in self._upstream.stream(wire.body):
                    begun = True
                    yield chunk
            except UpstreamRefusedError:
                if begun:
                    raise
            else:
                return
        async for chunk in self._upstream.stream(wire.plain or wire.body):
            self._plain_streams |= wire.plain is not None
            yield chunk

    def _delta(self, request_id: str, chunk: Mapping[str, Any]) -> Delta:
        firsts = (c for c in chunk["choices"] if c.get("index", 0) == 0)
        first: Mapping[str, Any] = next(firsts, {})
        said = first.get("message") or first.get("delta") or {}
        finish: dict[object, Finish | None] = {None: None, "length": "length"}
        usage = chunk.get("usage") or {}
        tokens_in, tokens_out = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        cost = usage.get("cost")
        if not isinstance(cost, int | float):
            cost = self._upstream.settings.cost(tokens_in, tokens_out) if usage else None
        return Delta(
            request_id=request_id,
            text=said.get("content") or "",
            finish=finish.get(first.get("finish_reason"), "stop"),
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            chunk=chunk,
            cost=cost,
        )


def _count(usage: Mapping[str, Any], name: str) -> int:
    value = usage.get(name)
    return value if isinstance(value, int) else 0

"""Writers that stand in for a language model."""

import asyncio

from rapport.language.engine import Delta, Finish


class SlowWriter:
    """Says `words` short sentences, one every `pause_s` seconds."""

    def __init__(self, *, words: int = 60, pause_s: float = 0.02) -> None:
        self._words, self._pause_s = words, pause_s

    async def stream(self, request, adapter_folder=None):
        for n in range(self._words):
            await asyncio.sleep(self._pause_s)
            finish: Finish | None = "stop" if n == self._words - 1 else None
            yield Delta(
                request_id=request.request_id,
                text=f"word{n}. ",
                tokens_in=7,
                tokens_out=n + 1,
                finish=finish,
            )

    async def score(self, pairs, adapter_folder=None):
        return [(0.0, 0.0) for _ in pairs]

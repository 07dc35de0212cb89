"""Joins the images of requests that wait at the same time into batches for the network.

A batch is whatever arrived while the one before it was computed, so a lone request never waits and a crowd
is answered in few passes. Nothing is shed: BentoML's own dispatcher answers 503 above its latency budget.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

MAX_BATCH = 32

Pixels = NDArray[np.uint8]
Probabilities = NDArray[np.float32]
_Waiting = tuple[Pixels, "asyncio.Future[Probabilities]"]


class Batcher:
    """Calls `predict` ([N, S, S, 3] -> [N, num_classes]) in a thread, one batch at a time; one event loop only."""

    def __init__(self, predict: Callable[[Pixels], Probabilities], *, max_batch: int = MAX_BATCH) -> None:
        self._predict = predict
        self._max_batch = max_batch
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None

    async def submit(self, pixels: Pixels) -> Probabilities:
        """Probabilities [num_classes] of one image [S, S, 3]; raises what `predict` raised for its batch."""
        answer: asyncio.Future[Probabilities] = asyncio.get_running_loop().create_future()
        self._waiting.append((pixels, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return await answer

    async def _drain(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._max_batch, len(self._waiting)))]
            try:
                rows = await asyncio.to_thread(self._predict, np.stack([pixels for pixels, _ in batch]))
            except Exception as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
            else:
                for (_, answer), row in zip(batch, rows, strict=True):
                    if not answer.done():  # else its client went away
                        answer.set_result(row)

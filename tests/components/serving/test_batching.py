import asyncio
import threading

import numpy as np
import pytest

from components.serving.batching import Batcher


def image(value: int) -> np.ndarray:
    return np.full((2, 2, 3), value, np.uint8)


def echo(pixels: np.ndarray) -> np.ndarray:
    return pixels[:, 0, 0, :1].astype(np.float32)


def test_what_waits_together_is_computed_together_and_answered_apart() -> None:
    sizes: list[int] = []
    gate = threading.Event()

    def predict(pixels: np.ndarray) -> np.ndarray:
        gate.wait(5)
        sizes.append(len(pixels))
        return echo(pixels)

    async def run() -> list[np.ndarray]:
        batcher = Batcher(predict, max_batch=4)
        first = asyncio.create_task(batcher.submit(image(0)))
        await asyncio.sleep(0.05)
        others = [asyncio.create_task(batcher.submit(image(i))) for i in range(1, 10)]
        await asyncio.sleep(0.05)
        gate.set()
        return list(await asyncio.gather(first, *others))

    answers = asyncio.run(run())
    assert [int(row[0]) for row in answers] == list(range(10))
    assert sizes == [1, 4, 4, 1]


def test_a_failed_batch_fails_its_requests_and_no_others() -> None:
    def predict(pixels: np.ndarray) -> np.ndarray:
        if pixels.max() == 9:
            raise ValueError("nine")
        return echo(pixels)

    async def run() -> None:
        batcher = Batcher(predict)
        with pytest.raises(ValueError, match="nine"):
            await batcher.submit(image(9))
        assert await batcher.submit(image(3)) == 3

    asyncio.run(run())


def test_a_request_that_was_given_up_does_not_disturb_its_batch() -> None:
    async def run() -> None:
        batcher = Batcher(echo)
        tasks = [asyncio.create_task(batcher.submit(image(i))) for i in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        assert await tasks[0] == 0
        assert await tasks[2] == 2

    asyncio.run(run())

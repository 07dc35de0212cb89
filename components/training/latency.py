"""Measures on this machine how long a network takes for one image; operations alone do not tell."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from components.core.errors import ConfigError


@torch.inference_mode()
def measure_latency(network: nn.Module, size_px: int, *, repeats: int = 30, warmup: int = 5, threads: int = 1) -> float:
    """Median seconds of one image [1, 3, size_px, size_px] in float32, eval mode, on `threads` threads.

    The number of threads is put back afterwards. ConfigError where nothing would be measured.
    """
    if repeats < 1 or threads < 1:
        raise ConfigError(f"latency needs at least one repeat and one thread, got {repeats} and {threads}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network.eval()
        image = torch.zeros(1, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)
        for _ in range(warmup):
            network(image)
        return statistics.median(_seconds(network, image) for _ in range(repeats))
    finally:
        torch.set_num_threads(before)


def _seconds(network: nn.Module, image: torch.Tensor) -> float:
    started = time.perf_counter()
    network(image)
    return time.perf_counter() - started

"""Latency is measured, in eval mode, on the threads asked for, and what was set before is put back."""

import time

import pytest
import torch
from torch import Tensor, nn

from components.core.errors import ConfigError
from components.training.latency import measure_latency


class Sleeper(nn.Module):
    """Waits, and remembers how it was called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[bool, int, tuple[int, ...]]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls.append((self.training, torch.get_num_threads(), tuple(x.shape)))
        time.sleep(0.002)
        return x


def test_median_seconds_of_one_image() -> None:
    before = torch.get_num_threads()
    network = Sleeper().train()
    assert measure_latency(network, 12, repeats=3, warmup=2) >= 0.002
    assert network.calls == [(False, 1, (1, 3, 12, 12))] * 5
    assert torch.get_num_threads() == before


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one repeat"):
        measure_latency(Sleeper(), 12, repeats=0)

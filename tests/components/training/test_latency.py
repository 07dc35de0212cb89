"""Latency is measured, in eval mode, on the threads asked for, and what was set before is put back."""

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from components.core.errors import ConfigError
from components.models.foreign.onnx_networks import OnnxNetwork
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


def pooling() -> OnnxNetwork:
    """A program that takes the mean over space."""
    onnx = pytest.importorskip("onnx")
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("images", "logits")]
    node = onnx.helper.make_node("GlobalAveragePool", ["images"], ["logits"])
    graph = onnx.helper.make_graph([node], "old", values[:1], values[1:])
    program = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    data = program.SerializeToString()
    network = OnnxNetwork(num_bytes=len(data))
    network.load_state_dict({"program": torch.frombuffer(bytearray(data), dtype=torch.uint8)})
    return network


def test_a_program_that_has_run_is_measured_on_the_threads_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    session = pytest.importorskip("onnxruntime").InferenceSession
    run, seen = session.run, []

    def watched(self: Any, *arguments: Any) -> Any:
        seen.append(self.get_session_options().intra_op_num_threads)
        return run(self, *arguments)

    monkeypatch.setattr(session, "run", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        network = pooling()
        network(torch.zeros(1, 3, 12, 12))
        measure_latency(network, 12, repeats=2, warmup=1, threads=1)
        network(torch.zeros(1, 3, 12, 12))
        assert seen == [2, 1, 1, 1, 2]
    finally:
        torch.set_num_threads(before)


def test_nothing_to_measure_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one repeat"):
        measure_latency(Sleeper(), 12, repeats=0)

"""Multiply-adds by hand, and a network that came as ONNX costs what the same network costs in torch."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from components.core.errors import DataError, UnavailableError
from components.models.foreign.adapters import Adapted
from components.models.foreign.export_archives import read_exported
from components.models.foreign.exported import ExportedNetwork
from components.models.foreign.onnx_networks import OnnxNetwork, read_onnx
from components.models.networks.costs import count_multiply_adds, count_parameters
from components.models.networks.merging import Merged
from components.models.networks.registry import build_network

CONVNET = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
SIDE = 16
BY_HAND = 512 * 27 + 512 * 16 + 1024 * 8 + 2 * 64 * 64 * 16 + 1024 * 3  # down, up, grouped, both products, head
ATTENTION = 4 * 8 * 24 + 2 * 4 * 4 * 8 + 4 * 8 * 8  # into queries, keys, values; both products of 4 words; out


class Mixed(nn.Module):
    """A strided, a transposed and a grouped convolution, two products of activations, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.down = nn.Conv2d(3, 8, 3, 2, 1)
        self.up = nn.ConvTranspose2d(8, 4, 2, 2)
        self.grouped = nn.Conv2d(4, 16, 2, 2, groups=2)
        self.head = nn.Linear(16 * 64, 3)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.grouped(self.up(self.down(x)))
        words = maps.flatten(2).transpose(1, 2)
        mixed = torch.softmax(words @ words.transpose(1, 2), dim=2) @ words
        logits: Tensor = self.head(mixed.flatten(1))
        return logits


class Attentive(nn.Module):
    """Four words of eight numbers, which attend to one another in two heads and then in an encoder's layer."""

    def __init__(self, *, need_weights: bool) -> None:
        super().__init__()
        self.words = nn.Conv2d(3, 8, SIDE // 2, SIDE // 2)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.need_weights = need_weights

    def forward(self, x: Tensor) -> Tensor:
        words = self.words(x).flatten(2).transpose(1, 2)
        mixed: Tensor = self.layer(self.attention(words, words, words, need_weights=self.need_weights)[0])
        return mixed.flatten(1)


def as_onnx(network: nn.Module, folder: Path, *, batch: int | None = None) -> OnnxNetwork:
    """The same network as a program, for any number of images or for a fixed one."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    images = torch.zeros(batch or 2, 3, SIDE, SIDE)
    free = None if batch else {"images": {0: "n"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(), (images,), folder / "old.onnx", input_names=["images"], dynamic_axes=free, dynamo=False
        )
    architecture, state = read_onnx(folder / "old.onnx")
    program = OnnxNetwork(num_bytes=architecture["num_bytes"], batch=architecture["batch"])
    program.load_state_dict(state)
    return program


def of_nodes(*nodes: tuple[str, list[str], str], domain: str = "") -> OnnxNetwork:
    """A program of a mean over space, then the given operators with a 3x3 matrix at hand."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    made = [helper.make_node(name, inputs, [output], domain=domain) for name, inputs, output in nodes]
    if nodes[0][0] == "Einsum":
        made[0].attribute.append(helper.make_attribute("equation", "ni,ij->nj"))
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["images"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["x"]),
            *made,
        ],
        "old",
        [helper.make_tensor_value_info("images", kind, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("logits", kind, ["n", 3])],
        [onnx.numpy_helper.from_array(np.eye(3, dtype=np.float32), "matrix")],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    data = helper.make_model(graph, opset_imports=imports, ir_version=9).SerializeToString()
    program = OnnxNetwork(num_bytes=len(data))
    program.load_state_dict({"program": torch.frombuffer(bytearray(data), dtype=torch.uint8)})
    return program


def test_torch_is_counted_as_by_hand() -> None:
    assert count_multiply_adds(Mixed(), SIDE) == BY_HAND


@pytest.mark.parametrize("need_weights", [True, False])  # two products, or one operator for both
@pytest.mark.parametrize("fast", [True, False])
def test_attention_hides_nothing(need_weights: bool, fast: bool) -> None:
    torch.backends.mha.set_fastpath_enabled(fast)
    try:
        counted = count_multiply_adds(Attentive(need_weights=need_weights), SIDE)
        assert torch.backends.mha.get_fastpath_enabled() is fast, "counting leaves the fast path as it was"
    finally:
        torch.backends.mha.set_fastpath_enabled(True)
    assert counted == 4 * 8 * 3 * 64 + ATTENTION + ATTENTION + 2 * 4 * 8 * 16  # words, attention twice, feed-forward


def test_onnx_costs_what_the_same_network_costs_in_torch(tmp_path: Path) -> None:
    assert count_multiply_adds(as_onnx(Mixed(), tmp_path), SIDE) == BY_HAND
    network = build_network(CONVNET)
    assert count_multiply_adds(as_onnx(network, tmp_path), SIDE) == count_multiply_adds(network, SIDE) > 0


def test_a_program_holds_the_numbers_that_the_network_held(tmp_path: Path) -> None:
    by_hand = (27 * 8 + 8) + (8 * 4 * 4 + 4) + (16 * 2 * 4 + 16) + (1024 * 3 + 3)
    network, own = Mixed(), build_network(CONVNET)
    assert count_parameters(network) == by_hand
    assert count_parameters(as_onnx(network, tmp_path)) == by_hand
    torch.export.save(torch.export.export(network, (torch.zeros(2, 3, SIDE, SIDE),)), tmp_path / "old.pt2")
    twice = Merged(ExportedNetwork(read_exported(tmp_path / "old.pt2")[0]), own)
    assert count_parameters(twice) == by_hand + sum(part.numel() for part in own.parameters())


def test_inside_a_larger_network_it_adds_its_own_at_the_side_that_it_reads(tmp_path: Path) -> None:
    program, own = as_onnx(Mixed(), tmp_path), build_network(CONVNET)
    usual = {"mean": [0.5] * 3, "std": [0.2] * 3}
    given, wanted = {"size_px": 24, **usual}, {"size_px": SIDE, **usual}
    merged = Merged(Adapted(program, given=given, wanted=wanted), own)
    assert count_multiply_adds(merged, 24) == BY_HAND + count_multiply_adds(own, 24)
    assert merged.training and not program.training, "counting leaves the mode as it was"


def test_a_fixed_batch_runs_whole_and_costs_as_much(tmp_path: Path) -> None:
    program = as_onnx(Mixed(), tmp_path, batch=4)
    assert count_multiply_adds(program, SIDE) == 4 * BY_HAND
    assert program.multiply_adds((5, 3, SIDE, SIDE)) == 8 * BY_HAND


def test_each_product_of_a_program_is_counted() -> None:
    assert count_multiply_adds(of_nodes(("MatMul", ["x", "matrix"], "logits")), SIDE) == 9
    twice = of_nodes(("MatMul", ["x", "matrix"], "y"), ("Gemm", ["y", "matrix"], "logits"))
    assert count_multiply_adds(twice, SIDE) == 18


@pytest.mark.parametrize(("name", "domain", "told"), [("Einsum", "", "Einsum"), ("Gelu", "com.microsoft", "Gelu")])
def test_what_may_multiply_unseen_is_refused(name: str, domain: str, told: str) -> None:
    inputs = ["x", "matrix"] if name == "Einsum" else ["x"]
    network = Merged(of_nodes((name, inputs, "logits"), domain=domain), build_network(CONVNET))
    with pytest.raises(DataError, match=f"cannot be counted, so its cost compares with nothing: .*{told}"):
        count_multiply_adds(network, SIDE)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    program = of_nodes(("MatMul", ["x", "matrix"], "logits"))
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UnavailableError, match=r"pip install 'detent\[onnx\]'"):
        count_multiply_adds(program, SIDE)

"""Incumbents from elsewhere answer as their own runtime does, run no foreign code, and errors say what is wrong."""

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from components.core.errors import DataError, SourceError, UnavailableError
from components.models.artefacts import ModelSpec, load_model, save_model
from components.models.foreign.incumbents import as_inner, load_incumbent
from components.models.foreign.onnx_networks import needs_onnx
from components.models.networks.growth import Grown
from components.models.networks.registry import build_network
from components.models.prediction import predict, predict_logits

CONVNET = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
INPUT = {"size_px": 16, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.2, 0.25]}
CARD = {"classes": ["a", "b", "c"], "input": INPUT}
SPEC = ModelSpec(architecture=CONVNET, classes=("a", "b", "c"), size_px=16, mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.25))


class Foreign(nn.Module):
    """A network that is none of ours: in-place operators, a split, a size that depends on the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.norm = nn.BatchNorm2d(8)
        self.head = nn.Linear(4 * 64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.relu_(self.norm(self.conv(x)))
        left, right = y.chunk(2, dim=1)
        logits: torch.Tensor = self.head((left * right).reshape(x.shape[0], -1))
        return logits


def foreign() -> nn.Module:
    torch.manual_seed(0)
    return Foreign().eval()


def convnet() -> nn.Module:
    torch.manual_seed(0)
    return build_network(CONVNET).eval()


def images(num: int = 5) -> torch.Tensor:
    return torch.randn(num, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def with_card(path: Path, **changes: Any) -> Path:
    path.with_suffix(".json").write_text(json.dumps({**CARD, **changes}))
    return path


def as_safetensors(folder: Path, **changes: Any) -> Path:
    save_file(convnet().state_dict(), folder / "old.safetensors")
    return with_card(folder / "old.safetensors", **{"architecture": CONVNET, **changes})


def as_exported(
    folder: Path,
    network: nn.Module | None = None,
    *,
    batch: int | None = None,
    decomposed: bool = False,
    **changes: Any,
) -> Path:
    free = None if batch else ({0: torch.export.Dim("n", min=1, max=1024)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network or foreign(), (images(batch or 2),), dynamic_shapes=free)
        program = program.run_decompositions() if decomposed else program
        torch.export.save(program, folder / "old.pt2")
    return with_card(folder / "old.pt2", **changes)


class Masked(nn.Module):
    """Numbers that JSON lacks: in an attention's masked softmax, as scalars and as values to fill with."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        words = x.flatten(2).transpose(1, 2)[:, :9]
        mask = torch.ones(9, 9, dtype=torch.bool).tril()
        mixed = nn.functional.scaled_dot_product_attention(words, words, words, attn_mask=mask)
        high = mixed.masked_fill(mixed < 0, float("inf")).amin(dim=1).clamp(max=9)
        logits: torch.Tensor = self.head(torch.nan_to_num(high.masked_fill(high > 8, float("nan")), nan=1.0))
        return logits


def as_onnx(folder: Path, *, batch: int | str = "n", data: bool = False, **changes: Any) -> Path:
    """A convolution, a mean over space and a linear layer; weights inside, or in a file beside."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    weights = {"kernel": rng.normal(size=(4, 3, 3, 3)), "matrix": rng.normal(size=(4, 3))}
    helper = onnx.helper
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["images", "kernel"], ["maps"], pads=[1, 1, 1, 1]),
            helper.make_node("GlobalAveragePool", ["maps"], ["pooled"]),
            helper.make_node("Flatten", ["pooled"], ["features"]),
            helper.make_node("MatMul", ["features", "matrix"], ["logits"]),
        ],
        "old",
        [helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [batch, 3, 16, 16])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, [batch, 3])],
        [onnx.numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    program = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path = folder / "old.onnx"
    onnx.save(program, path, save_as_external_data=data, location="old.onnx.data", size_threshold=0)
    return with_card(path, **changes)


FORMATS: dict[str, Callable[..., Path]] = {"safetensors": as_safetensors, "pt2": as_exported, "onnx": as_onnx}


@pytest.fixture(params=sorted(FORMATS))
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return FORMATS[request.param](tmp_path)


def test_it_is_a_model_like_any_other(path: Path, tmp_path: Path) -> None:
    model = load_incumbent(path)
    assert model.spec.classes == ("a", "b", "c") and model.spec.mean == (0.4, 0.5, 0.6)
    assert not any(p.requires_grad for p in model.network.parameters()) and not model.network.training
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    save_model(tmp_path / "model", model.network, model.spec)
    again = load_model(tmp_path / "model")
    assert np.array_equal(predict(again, pixels), predict(model, pixels))


def test_it_grows_with_its_function_kept(path: Path, tmp_path: Path) -> None:
    old = load_incumbent(path)
    inner, architecture = as_inner(old, SPEC)
    network = Grown(inner, build_network(CONVNET))
    spec = replace(SPEC, architecture={"family": "grown", "inner": architecture, "outer": CONVNET})
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train().parts(images())[1].square().mean().backward()
    optimizer.step()
    save_model(tmp_path / "grown", network, spec)
    loaded = load_model(tmp_path / "grown").network
    with torch.inference_mode():
        assert torch.equal(loaded(images()), old.network(images()))


def test_an_exported_program_answers_bit_for_bit_as_torch_runs_it(tmp_path: Path) -> None:
    model = load_incumbent(as_exported(tmp_path))
    program = torch.export.load(tmp_path / "old.pt2").module()
    with torch.no_grad():
        assert torch.equal(model.network(images()), program(images()))
        assert torch.equal(model.network(images()), foreign()(images()))


@pytest.mark.parametrize("decomposed", [True, False])
def test_infinite_numbers_in_an_exported_program_are_read(tmp_path: Path, decomposed: bool) -> None:
    torch.manual_seed(0)
    masked = Masked().eval()
    model = load_incumbent(as_exported(tmp_path, masked, decomposed=decomposed))
    save_model(tmp_path / "model", model.network, model.spec)
    told = json.dumps(load_model(tmp_path / "model").spec.architecture)
    assert '"Infinity"' in told and '"NaN"' in told and ('"-Infinity"' in told) is decomposed
    for network in (model.network, load_model(tmp_path / "model").network):
        with torch.no_grad():
            assert torch.allclose(network(images()), masked(images()), atol=1e-6)


def test_a_program_for_a_fixed_batch_answers_any_number(tmp_path: Path) -> None:
    model = load_incumbent(as_exported(tmp_path, batch=2))
    with torch.no_grad():
        assert torch.allclose(model.network(images(5)), foreign()(images(5)), atol=1e-5)
        assert model.network(images(0)).shape == (0, 3)
    onnx = load_incumbent(as_onnx(tmp_path, batch=1)).network
    assert torch.allclose(onnx(images(3)), torch.cat([onnx(image[None]) for image in images(3)]), atol=1e-6)


def test_onnx_weights_in_a_second_file_are_joined(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    whole, split = as_onnx(tmp_path / "one"), as_onnx(tmp_path / "two", data=True)
    assert split.with_name("old.onnx.data").is_file()
    assert torch.equal(load_incumbent(split).network(images()), load_incumbent(whole).network(images()))


def test_without_onnxruntime_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_onnx(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    with pytest.raises(UnavailableError, match="pip install"):
        load_incumbent(path)


def test_whether_a_bento_needs_onnxruntime_is_seen_through_growth(tmp_path: Path) -> None:
    old = load_incumbent(as_onnx(tmp_path))
    grown = {"family": "grown", "inner": as_inner(old, SPEC)[1], "outer": CONVNET}
    assert needs_onnx(grown) and not needs_onnx({**grown, "inner": CONVNET})


def test_a_folder_of_ours_is_an_incumbent(tmp_path: Path) -> None:
    digest = save_model(tmp_path / "m", convnet(), SPEC)
    model = load_incumbent(tmp_path / "m")
    assert model.digest == digest and not any(p.requires_grad for p in model.network.parameters())


def test_channel_order_and_probabilities_are_put_right(tmp_path: Path) -> None:
    plain = load_incumbent(as_safetensors(tmp_path))
    turned = {**INPUT, "channel_order": "bgr", "mean": INPUT["mean"][::-1], "std": INPUT["std"][::-1]}  # type: ignore[index]
    blue_first = load_incumbent(as_safetensors(tmp_path, input=turned))
    assert blue_first.spec.mean == plain.spec.mean, "the spec is in the order red, green, blue"
    with torch.inference_mode():
        assert torch.equal(blue_first.network(images()), plain.network(images().flip(1)))
    sure = load_incumbent(as_exported(tmp_path, nn.Sequential(convnet(), nn.Softmax(1)).eval(), output="probabilities"))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    assert np.allclose(predict(sure, pixels), predict(plain, pixels), atol=1e-5)


def test_the_digest_covers_weights_and_card(tmp_path: Path) -> None:
    path = as_safetensors(tmp_path)
    first = load_incumbent(path).digest
    assert load_incumbent(with_card(path, architecture=CONVNET, classes=["c", "b", "a"])).digest != first


class Bomb:
    """Unpickling it leaves a file behind."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


def rewritten(path: Path, changes: dict[str, Callable[[bytes], bytes]]) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            change = next((c for ending, c in changes.items() if name.endswith(ending)), bytes)
            archive.writestr(name, change(data))


def replacing(changes: dict[bytes, bytes]) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        for old, new in changes.items():
            assert old in data
            data = data.replace(old, new)
        return data

    return change


def test_nothing_in_an_archive_is_unpickled(tmp_path: Path) -> None:
    path, trace = as_exported(tmp_path), tmp_path / "exploded"
    bomb = pickle.dumps(Bomb(trace))
    rewritten(path, {"sample_inputs/model.pt": lambda _: bomb})
    load_incumbent(path)
    pickled = {b'"use_pickle": false': b'"use_pickle": true'}
    rewritten(path, {"weights/weight_0": lambda _: bomb, "weights_config.json": replacing(pickled)})
    with pytest.raises(DataError, match="no pickle is loaded"):
        load_incumbent(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "target", ["torch.os.system", "torch.ops.aten.from_file.default", "_operator.call", "torch.ops.mine.op.default"]
)
def test_only_tensor_operators_are_run(tmp_path: Path, target: str) -> None:
    path = as_exported(tmp_path)
    called = {b'"torch.ops.aten.conv2d.default"': json.dumps(target).encode()}
    rewritten(path, {"models/model.json": replacing(called)})
    with pytest.raises(DataError, match="only torch's own tensor operators"):
        load_incumbent(path)


def test_a_program_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"call \.eval\(\)"):
        load_incumbent(as_exported(tmp_path, foreign().train()))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["a", "b"]}, "lists? every class|classes"),
        ({"classes": ["a", "a", "b"]}, "each once"),
        ({"classes": []}, "expected the names"),
        ({"input": {**INPUT, "size_px": 0}}, "size_px is 0"),
        ({"input": {**INPUT, "mean": [123.0, 116.0, 103.0]}}, "divide values of 0..255 by 255"),
        ({"input": {**INPUT, "std": [0.2, 0.2]}}, r"input\.std is \[0\.2, 0\.2\], expected three finite numbers"),
        ({"input": {**INPUT, "mean": [0.5, 0.5, float("nan")]}}, r"input\.mean is .*nan\], expected three finite"),
        ({"input": {**INPUT, "std": [0.2, 0.2, float("nan")]}}, r"input\.std is .*nan\], expected three finite"),
        ({"input": {**INPUT, "std": [float("inf")] * 3}}, r"input\.std is .*inf\], expected three finite"),
        ({"input": {**INPUT, "mean": [True, 0, 0]}}, r"input\.mean is .*, expected three finite"),
        ({"input": {**INPUT, "std": [0.2, 0.2, 0]}}, r"input\.std .* above 0"),
        ({"input": {**INPUT, "channel_order": "rbg"}}, "allowed: rgb, bgr"),
        ({"input": {**INPUT, "sise_px": 3}}, "unknown field input.sise_px, known: channel_order"),
        ({"output": "labels"}, "allowed: logits, probabilities"),
        ({"clases": []}, "unknown field clases"),
        ({"input": None}, "expected an object"),
    ],
)
def test_a_wrong_card_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_incumbent(as_exported(tmp_path, **changes))


def test_another_size_than_exported_is_named(tmp_path: Path) -> None:
    for made in (as_exported, as_onnx):
        with pytest.raises(DataError, match=r"does not run on images \[2, 3, 24, 24\]"):
            load_incumbent(made(tmp_path, input={**INPUT, "size_px": 24}))


def test_what_is_no_program_is_named(tmp_path: Path) -> None:
    for made in FORMATS.values():
        path = made(tmp_path)
        path.write_bytes(path.read_bytes()[:100])
        with pytest.raises(DataError, match="old"):
            load_incumbent(path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="give a model folder"):
        load_incumbent(tmp_path / "nothing.onnx")
    (tmp_path / "m.pkl").write_bytes(b"")
    with pytest.raises(SourceError, match=r"\.safetensors, \.onnx, \.pt2"):
        load_incumbent(tmp_path / "m.pkl")
    (tmp_path / "old.onnx").write_bytes(b"")
    with pytest.raises(SourceError, match=r"has no card.*old\.json"):
        load_incumbent(tmp_path / "old.onnx")


def test_weights_of_another_architecture_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not fit the architecture"):
        load_incumbent(as_safetensors(tmp_path, architecture={**CONVNET, "widths": [4, 6]}))
    with pytest.raises(DataError, match="names 2 classes and an architecture of 3"):
        load_incumbent(as_safetensors(tmp_path, classes=["a", "b"]))
    with pytest.raises(DataError, match="names no architecture"):
        load_incumbent(as_safetensors(tmp_path, architecture=None))


def test_logits_are_those_of_the_spec(tmp_path: Path) -> None:
    model = load_incumbent(as_safetensors(tmp_path))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    assert np.array_equal(
        predict_logits(model.network, model.spec, pixels), predict_logits(convnet(), replace(SPEC), pixels)
    )

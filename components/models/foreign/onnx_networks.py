"""Runs a network that came as ONNX, by onnxruntime on the CPU, as the frozen part of a larger one or by itself.

The ONNX bytes are the network's only tensor, so they lie in the artefact's safetensors file, are covered by its
digest and ship with a Bento like any weights. onnxruntime is an optional library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from components.core.errors import DataError, UnavailableError
from components.models.foreign.fixed_batches import in_batches

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto
    from onnxruntime import InferenceSession

_ERRORS_ONLY = 3
_CONVOLUTIONS = {"Conv": 1, "ConvInteger": 1, "QLinearConv": 3}  # by operator, which input is the kernel
_PRODUCTS = ("MatMul", "MatMulInteger", "QLinearMatMul")
_OTHERS = ("Gemm", "ConvTranspose")
_NOT_COUNTED = ("Attention", "DeformConv", "Einsum", "GRU", "LSTM", "RNN", "If", "Loop", "Scan")


class OnnxNetwork(nn.Module):
    """An ONNX program of `num_bytes`; a fixed `batch` where it was exported with one."""

    program: Tensor

    def __init__(self, *, num_bytes: int, batch: int | None = None) -> None:
        super().__init__()
        self.register_buffer("program", torch.zeros(num_bytes, dtype=torch.uint8))
        self._batch = batch
        self._session: tuple[int, InferenceSession] | None = None  # with its number of threads
        self._counted: dict[tuple[int, ...], int] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S]; no gradient passes through."""
        return in_batches(self._run, x.detach().float(), batch=self._batch).to(x.device)

    def _run(self, x: Tensor) -> Tensor:
        session = self._opened()
        name = session.get_inputs()[0].name
        (logits,) = session.run(None, {name: np.ascontiguousarray(x.cpu().numpy())})
        return torch.from_numpy(np.array(logits, np.float32))

    def _opened(self) -> InferenceSession:
        """A session on torch's present number of threads, which is fixed when a session is opened."""
        threads, held = torch.get_num_threads(), self._session
        if held is None or held[0] != threads:
            self._session = held = threads, open_session(self.program.cpu().numpy().tobytes())
        return held[1]

    def multiply_adds(self, shape: Sequence[int]) -> int:
        """What images of `shape` [N, 3, S, S] cost, whole batches where the program was exported for a fixed one.

        Errors are those of `count_multiply_adds`.
        """
        batch = self._batch or shape[0]
        one = (batch, *shape[1:])
        if one not in self._counted:
            self._counted[one] = count_multiply_adds(self.program.cpu().numpy().tobytes(), one)
        return math.ceil(shape[0] / batch) * self._counted[one]

    def count_parameters(self) -> int:
        """The numbers that the program holds, those that shapes and axes are told by left out."""
        return count_parameters(self.program.cpu().numpy().tobytes())

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._session, self._counted = None, {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a copy opens its own


def read_onnx(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The architecture (family 'onnx') and the tensors of an ONNX file.

    DataError where its input is not images [N, 3, S, S] in float32 or its output not one matrix.
    """
    data = _single_file(path)
    try:
        session = open_session(data)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    batch = _check_signature(path, session)
    state = {"program": torch.frombuffer(bytearray(data), dtype=torch.uint8)}
    return {"family": "onnx", "num_bytes": len(data), "batch": batch}, state


def count_multiply_adds(data: bytes, shape: Sequence[int]) -> int:
    """Multiply-adds of a program's convolutions and matrix products on images of `shape` [N, 3, S, S], exact.

    The program is run once on blank images to see the shapes, so sizes that it computes itself are right too.
    DataError names an operator that may multiply and is not counted; UnavailableError without onnx and onnxruntime.
    """
    program = _inlined(data)
    _check_counted(program)
    kinds = {*_CONVOLUTIONS, *_PRODUCTS, *_OTHERS}
    counted = [node for node in program.graph.node if node.op_type in kinds]
    shapes = _shapes(program, {name for node in counted for name in (*node.input, *node.output) if name}, shape)
    return sum(_multiply_adds(node, shapes) for node in counted)


def count_parameters(data: bytes) -> int:
    """The numbers in a program's constants but for 64-bit integers, which tell shapes, axes and indices.

    UnavailableError without onnx.
    """
    graph = _inlined(data).graph
    written = [attribute.t for node in graph.node if node.op_type == "Constant" for attribute in node.attribute]
    weights = [weight for weight in (*graph.initializer, *written) if weight.data_type != weight.INT64]
    return sum(math.prod(weight.dims) for weight in weights if weight.dims)


def _inlined(data: bytes) -> ModelProto:
    """The program in operators alone."""
    try:
        import onnx
        from onnx.inliner import inline_local_functions
    except ImportError as error:
        raise UnavailableError("counting what an ONNX model costs needs onnx: pip install 'detent[onnx]'") from error
    return inline_local_functions(onnx.load_from_string(data))


def _check_counted(program: ModelProto) -> None:
    """An operator that is not known might multiply as well: a count without it would be too low to compare."""
    for node in program.graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type in _NOT_COUNTED:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            raise DataError(
                f"the multiply-adds of this ONNX program cannot be counted, so its cost compares with nothing: {name} "
                "is not among the operators that are; export it again in plain convolutions and matrix products"
            )


def _shapes(program: ModelProto, names: set[str], shape: Sequence[int]) -> dict[str, tuple[int, ...]]:
    """The shapes of tensors by name: constants as they stand, all others as they come out of one run."""
    from onnx import ValueInfoProto

    graph = program.graph
    found = {weight.name: tuple(weight.dims) for weight in graph.initializer}
    given = next(value.name for value in graph.input if value.name not in found)
    found[given] = tuple(shape)
    shown = {value.name for value in graph.output}
    graph.output.extend(ValueInfoProto(name=name) for name in sorted(names - found.keys() - shown))
    session = open_session(program.SerializeToString())
    made = session.run(None, {given: np.zeros(shape, np.float32)})
    return found | {value.name: np.shape(array) for value, array in zip(session.get_outputs(), made, strict=True)}


def _multiply_adds(node: NodeProto, shapes: Mapping[str, tuple[int, ...]]) -> int:
    inputs = [shapes.get(name, ()) for name in node.input]
    made = math.prod(shapes[node.output[0]])
    if node.op_type in _CONVOLUTIONS:
        return made * math.prod(inputs[_CONVOLUTIONS[node.op_type]][1:])
    if node.op_type == "ConvTranspose":
        return math.prod(inputs[0]) * math.prod(inputs[1][1:])
    turned = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return made * inputs[0][0 if turned else -1]


def open_session(data: bytes) -> InferenceSession:
    """A session on the CPU with torch's present number of threads; UnavailableError without onnxruntime."""
    try:
        import onnxruntime
    except ImportError as error:
        raise UnavailableError("an ONNX model needs onnxruntime: pip install 'detent[onnx]'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ONLY
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no other base
        raise DataError(f"onnxruntime cannot run this program ({error}); export it again") from error


def _single_file(path: Path) -> bytes:
    """The program with its weights inside; torch's exporter puts them into a second file beside it."""
    beside = path.with_name(path.name + ".data")
    if not beside.is_file():
        return path.read_bytes()
    try:
        import onnx
    except ImportError as error:
        raise UnavailableError(
            f"{path} keeps its weights in {beside.name}; joining them needs onnx: pip install 'detent[onnx]', "
            "or export with external_data=False"
        ) from error
    whole: bytes = onnx.load(path).SerializeToString()
    return whole


def _check_signature(path: Path, session: InferenceSession) -> int | None:
    """The fixed batch, None where it may vary."""
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or len(outputs) != 1:
        raise DataError(
            f"{path} has inputs {[i.name for i in inputs]} and outputs {[o.name for o in outputs]}, expected one each: "
            "images in, logits out; export it with those alone"
        )
    shape, kind = inputs[0].shape, inputs[0].type
    if kind != "tensor(float)" or len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3):
        raise DataError(
            f"{path}: input '{inputs[0].name}' is {kind} of shape {shape}, expected tensor(float) of shape "
            "[N, 3, S, S]; export it with float32 images, channels first"
        )
    return shape[0] if isinstance(shape[0], int) else None


def needs_onnx(architecture: Mapping[str, Any]) -> bool:
    """Whether a network, or one inside it, runs on onnxruntime: its Bento then needs that package too."""
    inner = architecture.get("inner")
    return architecture.get("family") == "onnx" or (isinstance(inner, Mapping) and needs_onnx(inner))

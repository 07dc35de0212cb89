"""Runs a network that came as ONNX, by onnxruntime on the CPU, as the frozen part of a larger one or by itself.

The ONNX bytes are the network's only tensor, so they lie in the artefact's safetensors file, are covered by its
digest and ship with a Bento like any weights. onnxruntime is an optional library.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from components.core.errors import DataError, UnavailableError
from components.models.fixed_batches import in_batches

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_ERRORS_ONLY = 3


class OnnxNetwork(nn.Module):
    """An ONNX program of `num_bytes`; a fixed `batch` where it was exported with one."""

    program: Tensor

    def __init__(self, *, num_bytes: int, batch: int | None = None) -> None:
        super().__init__()
        self.register_buffer("program", torch.zeros(num_bytes, dtype=torch.uint8))
        self._batch = batch
        self._session: InferenceSession | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S]; no gradient passes through."""
        return in_batches(self._run, x.detach().float(), batch=self._batch).to(x.device)

    def _run(self, x: Tensor) -> Tensor:
        if self._session is None:
            self._session = open_session(self.program.cpu().numpy().tobytes())
        name = self._session.get_inputs()[0].name
        (logits,) = self._session.run(None, {name: np.ascontiguousarray(x.cpu().numpy())})
        return torch.from_numpy(np.array(logits, np.float32))

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        super()._load_from_state_dict(*arguments, **options)
        self._session = None

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


def open_session(data: bytes) -> InferenceSession:
    """A session on the CPU with torch's number of threads; UnavailableError without onnxruntime."""
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

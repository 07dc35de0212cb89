"""Runs a network that came from torch.export: a graph of tensor operators in plain JSON, called in its order.

The operators and their order are the exported program's, and so are the bits. Only torch's own tensor operators and
Python's arithmetic on sizes are ever looked up, so an architecture from elsewhere cannot name other code.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from components.core.errors import DataError
from components.models.foreign.fixed_batches import in_batches

_REFUSED = ("aten.from_file",)  # reads the disk
_PYTHON = ("getitem", "add", "sub", "mul", "floordiv", "mod", "neg", "truediv")


class ExportedNetwork(nn.Module):
    """A graph of tensor operators: `nodes` in order, tensors by name; frozen, since a graph in eval mode is."""

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        super().__init__()
        self._input, self._output = architecture["input"], architecture["output"]
        self._batch: int | None = architecture.get("batch")
        self._nodes = [(find_operator(node["op"]), node) for node in architecture["nodes"]]
        self._names = sorted(architecture["tensors"])
        for name, (dtype, shape) in architecture["tensors"].items():
            self.register_buffer(name, torch.empty(shape, dtype=getattr(torch, dtype)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S], always in float32."""
        with torch.autocast(x.device.type, enabled=False):
            return in_batches(self._run, x.float(), batch=self._batch)

    def _run(self, x: Tensor) -> Tensor:
        values: dict[str, Any] = {name: self.get_buffer(name) for name in self._names}
        values[self._input] = x
        for function, node in self._nodes:
            positional = [_value(argument, values) for argument in node["args"]]
            named = {name: _value(argument, values) for name, argument in node["kwargs"].items()}
            made = function(*positional, **named)
            if isinstance(node["out"], str):
                values[node["out"]] = made
            else:
                values.update(zip(node["out"], made, strict=True))
        result: Tensor = values[self._output]
        return result


def _value(argument: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(argument, list):
        return [_value(item, values) for item in argument]
    if not isinstance(argument, dict):
        return argument
    if "float" in argument:
        return float(argument["float"])
    return getattr(torch, argument["torch"]) if "torch" in argument else values[argument["value"]]


def find_operator(name: str) -> Callable[..., Any]:
    """A tensor operator of torch's own or Python's arithmetic on sizes; DataError for anything else."""
    family, _, rest = name.partition(".")
    if family == "_operator" and rest in _PYTHON:
        return getattr(operator, rest)  # type: ignore[no-any-return]
    parts = rest.split(".")
    if family == "aten" and len(parts) == 2 and not name.startswith(_REFUSED) and not rest.startswith("__"):
        overload = getattr(getattr(torch.ops.aten, parts[0], None), parts[1], None)
        if isinstance(overload, torch._ops.OpOverload):
            return overload
    raise DataError(
        f"the exported program calls '{name}', and only torch's own tensor operators (aten) are run; "
        "export the model without custom or higher-order operators, or as ONNX"
    )

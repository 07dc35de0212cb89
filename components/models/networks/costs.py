"""What one image costs in a network, counted from the operators that run and not estimated from its description."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from components.models.foreign.exported import ExportedNetwork
from components.models.foreign.onnx_networks import OnnxNetwork

_aten = torch.ops.aten


def count_multiply_adds(network: nn.Module, size_px: int) -> int:
    """Multiply-adds of one image [3, size_px, size_px] through convolutions, matrix products and attention, exact.

    A part that was exported for a fixed batch costs a whole batch, since that is what runs. DataError where a part in
    ONNX uses an operator that is not counted, UnavailableError where it is there and the onnx package is not.
    """
    was_training = network.training
    network.eval()
    counter = _Counter()
    programs = [part for part in network.modules() if isinstance(part, OnnxNetwork)]
    hooks = [part.register_forward_hook(counter.see_program) for part in programs]
    try:
        with torch.no_grad(), _plain_attention(), counter:
            network(torch.zeros(1, 3, size_px, size_px))
    finally:
        for hook in hooks:
            hook.remove()
        network.train(was_training)
    return counter.total


def count_parameters(network: nn.Module) -> int:
    """The numbers that a network holds, its frozen parts' included: those of torch.export and ONNX are no parameters.

    Of such parts all constants in floating point count, statistics with them, and the integers of quantised weights.
    UnavailableError where a part is ONNX and the onnx package is not there.
    """
    held = sum(parameter.numel() for parameter in network.parameters())
    for part in network.modules():
        if isinstance(part, OnnxNetwork):
            held += part.count_parameters()
        elif isinstance(part, ExportedNetwork):
            held += sum(tensor.numel() for tensor in part.buffers() if tensor.is_floating_point())
    return held


@contextmanager
def _plain_attention() -> Iterator[None]:
    """Lets attention run as matrix products: torch's fast path is one operator, which hides them."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees every operator below autograd; torch's own counter takes ten seconds to import what it needs."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.total += _multiply_adds(func.overloadpacket, args, made)
        return made

    def see_program(self, program: OnnxNetwork, args: Sequence[Any], _made: Any) -> None:
        """A forward hook: what runs outside torch passes no operator by."""
        self.total += program.multiply_adds(args[0].shape)


def _multiply_adds(operator: Any, args: Sequence[Any], made: Any) -> int:
    if operator in (_aten.convolution, _aten._convolution):
        images, weight, transposed = args[0], args[1], args[6]
        return int((images if transposed else made).numel() * math.prod(weight.shape[1:]))
    if operator in (_aten.mm, _aten.bmm):
        return int(made.numel() * args[0].shape[-1])
    if operator in (_aten.addmm, _aten.baddbmm):
        return int(made.numel() * args[1].shape[-1])
    if "scaled_dot_product" in str(operator):
        queries, keys = args[0], args[1]
        return int(2 * queries.numel() * keys.shape[-2])
    return 0

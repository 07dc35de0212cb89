"""What one image costs in a network, counted from the operators that run and not estimated from its description."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_aten = torch.ops.aten


def count_multiply_adds(network: nn.Module, size_px: int) -> int:
    """Multiply-adds of one image [3, size_px, size_px] through convolutions, matrix products and attention, exact.

    A part that runs outside torch (ONNX) is not seen and counts nothing.
    """
    was_training = network.training
    network.eval()
    counter = _Counter()
    with torch.no_grad(), counter:
        network(torch.zeros(1, 3, size_px, size_px))
    network.train(was_training)
    return counter.total


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


def _multiply_adds(operator: Any, args: Sequence[Any], made: Any) -> int:
    if operator in (_aten.convolution, _aten._convolution):
        weight: Tensor = args[1]
        return int(made.numel() * math.prod(weight.shape[1:]))
    if operator in (_aten.mm, _aten.bmm):
        return int(made.numel() * args[0].shape[-1])
    if operator in (_aten.addmm, _aten.baddbmm):
        return int(made.numel() * args[1].shape[-1])
    if "scaled_dot_product" in str(operator):
        queries, keys = args[0], args[1]
        return int(2 * queries.numel() * keys.shape[-2])
    return 0

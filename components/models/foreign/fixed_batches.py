"""Feeds a function that was exported for a fixed batch: the last part is filled up and cut off again."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def in_batches(function: Callable[[Tensor], Tensor], x: Tensor, *, batch: int | None) -> Tensor:
    """`function` over images [N, 3, S, S] in parts of exactly `batch`; all at once when `batch` is None."""
    if batch is None or len(x) == batch:
        return function(x)
    missing = -len(x) % batch if len(x) else batch
    full = torch.cat([x, x.new_zeros((missing, *x.shape[1:]))])
    parts = [function(full[start : start + batch]) for start in range(0, len(full), batch)]
    return torch.cat(parts)[: len(x)]

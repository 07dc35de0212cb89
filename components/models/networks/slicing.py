"""What a larger network holds of a smaller one: the first channels, the first blocks, the centre of each kernel.

The rule needs only the names and shapes of two state dicts, so it serves every family whose members grow at the end
of each dimension. Containment is checked by slicing and comparing bytes, not by trusting how a network was made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from components.core.errors import IntegrityError

State = Mapping[str, Tensor]
Index = tuple[slice | Tensor, ...]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
DECISIONS = ("threshold",)  # tuned per network, and no weights
HEADS = ("head.weight", "head.bias")


def is_statistic(name: str) -> bool:
    """Whether a tensor is a batch norm's running statistic: recalibrated per sub-network, so not contained."""
    return name.rpartition(".")[2] in STATISTICS


def region(name: str, larger: Sequence[int], smaller: Sequence[int]) -> tuple[slice, ...]:
    """Where a tensor of shape `smaller` lies in one of shape `larger`: first channels, centre of the kernel.

    IntegrityError when it cannot lie there.
    """
    fits = len(larger) == len(smaller) and all(a >= b for a, b in zip(larger, smaller, strict=True))
    if not fits or any((a - b) % 2 for a, b in zip(larger[2:], smaller[2:], strict=True)):
        raise IntegrityError(f"{name}: shape {tuple(smaller)} cannot be a slice of shape {tuple(larger)}")
    channels = [slice(0, size) for size in smaller[:2]]
    centres = [slice((a - b) // 2, (a - b) // 2 + b) for a, b in zip(larger[2:], smaller[2:], strict=True)]
    return (*channels, *centres)


def take(larger: State, smaller: State) -> dict[str, Tensor]:
    """The slices of `larger`, as views, that have the names and shapes of `smaller` (its values are not read)."""
    return {name: _whole(larger, name)[region(name, larger[name].shape, t.shape)] for name, t in smaller.items()}


def check_contained(
    larger: State, smaller: State, *, rows: Sequence[int] | None = None, statistics: bool = False
) -> None:
    """IntegrityError, naming the tensor and the index, unless `larger` holds `smaller`'s weights byte for byte.

    Running statistics are left out unless asked for, but those inherited from a frozen incumbent are always part of
    it. `rows` gives, for each of the smaller's classes, its class in the larger, -1
    where the larger has none: needed when the class sets differ.
    """
    for name, index, small in _pairs(larger, smaller, rows, statistics=statistics):
        held = larger[name][index]
        if held.dtype != small.dtype:
            raise IntegrityError(f"{name} is {held.dtype} in the larger network and {small.dtype} in the smaller one")
        differs = (_bytes(held) != _bytes(small)).any(dim=1)
        if bool(differs.any()):
            raise IntegrityError(_difference(name, held, small, differs))


def share_weights(larger: State, smaller: State, *, rows: Sequence[int] | None = None) -> tuple[str, ...]:
    """Write the smaller network's weights and statistics into the slices of `larger` where they belong.

    Returns the names written. Old channels will read new ones: the weights are shared, the function is not kept
    (for that, see `growth` and `widening`). `rows` as in `check_contained`.
    """
    written = []
    with torch.no_grad():
        for name, index, small in _pairs(larger, smaller, rows, statistics=True):
            written.append(name)
            held = small.to(larger[name].device)
            if not torch.equal(larger[name][index], held):  # an equal one may be part of a running backward pass
                larger[name][index] = held.to(larger[name].dtype)
    return tuple(written)


def _pairs(
    larger: State, smaller: State, rows: Sequence[int] | None, *, statistics: bool = False
) -> Iterator[tuple[str, Index, Tensor]]:
    """Each tensor's name, its index in the larger network and the smaller one's part that lies there."""
    for name, small in smaller.items():
        left_out = is_statistic(name) and not statistics and "inner" not in name.split(".")
        if left_out or name.rpartition(".")[2] in DECISIONS:
            continue
        whole = _whole(larger, name)
        if rows is None or not name.endswith(HEADS):
            yield name, region(name, whole.shape, small.shape), small
            continue
        if len(rows) != len(small):
            raise IntegrityError(f"{name} has {len(small)} classes, the mapping of classes has {len(rows)}")
        target = torch.tensor(rows)
        known = target >= 0
        columns = region(name, (len(small), *whole.shape[1:]), small.shape)[1:]
        yield name, (target[known], *columns), small[known]


def _whole(larger: State, name: str) -> Tensor:
    if name not in larger:
        raise IntegrityError(f"the larger network has no tensor {name}, so it does not contain the smaller one")
    return larger[name]


def _bytes(tensor: Tensor) -> Tensor:
    plain = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return plain.view(-1, 1).view(torch.uint8)


def _difference(name: str, held: Tensor, small: Tensor, differs: Tensor) -> str:
    first = int(differs.nonzero()[0])
    index = tuple(int(i) for i in torch.unravel_index(torch.tensor(first), small.shape))
    values = (
        f"{held.reshape(-1)[first].item()!r} in the larger network, {small.reshape(-1)[first].item()!r} in the smaller"
    )
    return (
        f"{name} differs at {list(index)}: {values} ({int(differs.sum())} of {small.numel()} values differ); the "
        "larger network does not contain the smaller one"
    )

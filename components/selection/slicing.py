"""Tests every slice at the full level, and says which ones are too small to be evidence of anything.

To promote is to claim that all slices hold, so none of them pays for the others (intersection-union). To call
one broken is to pick it from many: there Holm's step-down correction applies, over the slices that are tested.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.core.decisions import CheckResult, SliceCheck
from components.selection.claims import Levels
from components.selection.flips import Cells
from components.selection.policy import Policy
from components.selection.samples import Sample, counts_under

POOLED = "(small values together)"
UNLABELLED = "(no value)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """The union of some values of a column; `result` None where it is large enough to be tested."""

    column: str
    value: str
    indices: NDArray[np.intp]
    result: CheckResult | None = None


def examine_slices(sample: Sample, policy: Policy, levels: Levels) -> tuple[SliceCheck, ...]:
    """The checks of all slices of all columns, in the order of the tally."""
    parts = [part for name, cells in sample.tally.columns.items() for part in _parts(name, cells, policy)]
    tested = [part for part in parts if part.result is None]
    p_values = [sample.slice_rate(part.column, part.indices).p_above(limit_of(part.column, policy)) for part in tested]
    broken = {id(part) for part, rejected in zip(tested, holm(p_values, levels.broken), strict=True) if rejected}
    return tuple(_check(sample, policy, levels, part, is_broken=id(part) in broken) for part in parts)


def limit_of(column: str, policy: Policy) -> float:
    """The limit of a column's slices: its own, or the one of all."""
    return policy.slices.limits.get(column, policy.slices.limit)


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects, in the order given; family-wise at `level`."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def _parts(column: str, cells: Cells, policy: Policy) -> Iterator[_Slice]:
    sizes = np.array([_size(states, policy) for states in cells.counts], np.int64)
    unlabelled = np.array([value is None for value in cells.values], bool)
    small = ~unlabelled & (sizes < policy.slices.min_n)
    for index in np.flatnonzero(~unlabelled & ~small):
        yield _Slice(column=column, value=str(cells.values[index]), indices=np.array([index]))
    if policy.slices.too_small == "pool" and small.any():
        enough = int(sizes[small].sum()) >= policy.slices.min_n
        pool = np.flatnonzero(small)
        yield _Slice(column=column, value=POOLED, indices=pool, result=None if enough else "too small")
    for index in np.flatnonzero(small):
        yield _Slice(column=column, value=str(cells.values[index]), indices=np.array([index]), result="too small")
    for index in np.flatnonzero(unlabelled):
        yield _Slice(column=column, value=UNLABELLED, indices=np.array([index]), result="unlabelled")


def _size(states: NDArray[np.int64], policy: Policy) -> int:
    return int(states.sum() if policy.denominator == "all" else states.reshape(3, 3)[2].sum())


def _check(sample: Sample, policy: Policy, levels: Levels, part: _Slice, *, is_broken: bool) -> SliceCheck:
    counts = counts_under(sample.tally.columns[part.column].counts[part.indices].sum(axis=0), policy)
    limit = limit_of(part.column, policy)
    untested = SliceCheck(
        column=part.column,
        value=part.value,
        n=counts.n,
        n_old_right=counts.n_old_right,
        negative_flips=counts.negative_flips,
        positive_flips=counts.positive_flips,
        rate=None,
        lower=None,
        upper=None,
        limit=limit,
        result=part.result or "undecided",
    )
    if part.result is not None:
        return untested
    rate = sample.slice_rate(part.column, part.indices)
    result: CheckResult = "holds" if rate.p_below(limit) <= levels.hold else "broken" if is_broken else "undecided"
    lower, upper = rate.lower(levels.broken), rate.upper(levels.hold)
    return replace(untested, rate=rate.point, lower=lower, upper=upper, result=result)

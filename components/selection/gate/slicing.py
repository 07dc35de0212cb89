"""Tests every slice at the full level, and says which are too small for a claim of their own.

To promote is to claim that all slices hold, so none of them pays for the others (intersection-union). To call
one broken is to pick it from many: there Holm's step-down correction applies, over all claims. A slice too small for
a claim of its own can still be proven broken; these are a family of their own, of those alone that are large enough
to be proven so at all (Tarone 1990). Slices that are declared critical are claims of their own, whatever their size.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.core.decisions import CheckResult, ColumnScope, SliceCheck
from components.selection.gate.claims import Levels
from components.selection.gate.flips import Cells
from components.selection.gate.policy import Policy
from components.selection.gate.rates import Sample, counts_under, effective

POOLED = "(small values together)"
UNLABELLED = "(no value)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slice:
    """The union of some values of a column; `alone` where it is a claim, `result` where it is none by its nature."""

    column: str
    value: str
    indices: NDArray[np.intp]
    limit: float
    alone: bool = True
    critical: bool = False
    result: CheckResult | None = None


def examine_slices(sample: Sample, policy: Policy, levels: Levels) -> tuple[SliceCheck, ...]:
    """The checks of all slices of all columns, in the order of the tally."""
    parts = [part for name, cells in sample.tally.columns.items() for part in _parts(name, cells, policy)]
    p_over = [_p_over(sample, part) for part in parts]
    claims = [index for index, part in enumerate(parts) if part.result is None and part.alone]
    small = [index for index, part in enumerate(parts) if part.result is None and not part.alone]
    least = [parts[index].limit ** sample.slice_rate(parts[index].column, parts[index].indices).n for index in small]
    able = [index for index, p in zip(small, least, strict=True) if p <= levels.broken / num_testable(least, levels)]
    broken = {
        family[place]
        for family in (claims, able)
        for place, rejected in enumerate(holm([p_over[index] for index in family], levels.broken))
        if rejected
    }
    return tuple(
        _check(sample, policy, levels, part, p_over=p_over[index], is_broken=index in broken)
        for index, part in enumerate(parts)
    )


def scope_of(columns: dict[str, Cells], policy: Policy) -> tuple[ColumnScope, ...]:
    """What each column is tested for, from the sizes of its slices alone."""
    parts = {name: list(_parts(name, cells, policy)) for name, cells in columns.items()}
    least = [
        part.limit ** size_of(columns[name].counts[part.indices].sum(axis=0), policy)
        for name, found in parts.items()
        for part in found
        if part.result is None and not part.alone
    ]
    num_small = num_testable(least, Levels(split="certify", hold=0.0, broken=policy.spending.alpha))
    return tuple(_scope(name, found, policy, num_small) for name, found in parts.items())


def num_testable(least: Sequence[float], levels: Levels) -> int:
    """Tarone's divisor: the fewest K such that at most K hypotheses could reach a p-value of level / K.

    `least` are the smallest p-values that each could have, which follow from sizes alone.
    """
    values = np.sort(np.asarray(least, dtype=float))
    for number in range(1, len(values) + 1):
        if np.searchsorted(values, levels.broken / number, side="right") <= number:
            return number
    return max(1, len(values))


def holm(p_values: Sequence[float], level: float) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects, in the order given; family-wise at `level`."""
    rejected = [False] * len(p_values)
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def size_of(states: NDArray[np.int64], policy: Policy) -> int:
    """The samples that a rate is over: all, or those that the champion had right."""
    return int(states.sum() if policy.denominator == "all" else states.reshape(3, 3)[2].sum())


def _parts(column: str, cells: Cells, policy: Policy) -> Iterator[_Slice]:
    """The claims of a column: values large enough, critical ones, and the small ones of each limit together."""
    rules = policy.slices
    small: dict[float, list[int]] = defaultdict(list)
    unlabelled: list[int] = []
    for index, value in enumerate(cells.values):
        if value is None:
            unlabelled.append(index)
            continue
        limit, critical = rules.limit_of(column, value), rules.is_critical(column, value)
        if critical or size_of(cells.counts[index], policy) >= rules.min_n:
            indices = np.array([index])
            yield _Slice(column=column, value=value, indices=indices, limit=limit, critical=critical)
        else:
            small[limit].append(index)
    if rules.too_small == "pool":
        yield from _pools(column, cells, small, policy)
    for limit, found in small.items():
        for index in found:
            value = str(cells.values[index])
            yield _Slice(column=column, value=value, indices=np.array([index]), limit=limit, alone=False)
    for index in unlabelled:
        limit, indices = rules.limit_of(column, UNLABELLED), np.array([index])
        yield _Slice(column=column, value=UNLABELLED, indices=indices, limit=limit, alone=False, result="unlabelled")


def _pools(column: str, cells: Cells, small: dict[float, list[int]], policy: Policy) -> Iterator[_Slice]:
    for limit, found in sorted(small.items()):
        size = sum(size_of(cells.counts[index], policy) for index in found)
        name = POOLED if len(small) == 1 else f"{POOLED}, limit {limit:.2%}"
        enough = size >= policy.slices.min_n
        result: CheckResult | None = None if enough else "too small"
        yield _Slice(
            column=column, value=name, indices=np.array(found), limit=limit, alone=enough, critical=False, result=result
        )


def _p_over(sample: Sample, part: _Slice) -> float:
    rate = sample.slice_rate(part.column, part.indices)
    return rate.p_above(part.limit) if rate.n else 1.0


def _scope(column: str, parts: Sequence[_Slice], policy: Policy, num_small: int) -> ColumnScope:
    values = [part for part in parts if not part.value.startswith(POOLED) and part.value != UNLABELLED]
    small = [part for part in values if not part.alone]
    pools = [part for part in parts if part.value.startswith(POOLED)]
    lost = max((_lost_below(part.limit, policy, num_small) for part in small), default=0)
    return ColumnScope(
        column=column,
        num_values=len(values),
        num_alone=len(values) - len(small),
        num_small=len(small),
        together=bool(pools) and all(part.alone for part in pools),
        lost_below=lost,
    )


def _lost_below(limit: float, policy: Policy, num_small: int) -> int:
    """The fewest samples of a small slice at which losing all of them is proof: limit^k is under Holm's first step."""
    threshold = policy.spending.alpha / num_small
    return min(policy.slices.min_n, int(np.ceil(np.log(threshold) / np.log(limit))))


def _check(
    sample: Sample, policy: Policy, levels: Levels, part: _Slice, *, p_over: float, is_broken: bool
) -> SliceCheck:
    counts = counts_under(sample.tally.columns[part.column].counts[part.indices].sum(axis=0), policy)
    rate = sample.slice_rate(part.column, part.indices)
    known = SliceCheck(
        column=part.column,
        value=part.value,
        n=counts.n,
        n_old_right=counts.n_old_right,
        negative_flips=counts.negative_flips,
        positive_flips=counts.positive_flips,
        rate=rate.point if rate.n else None,
        lower=rate.lower(levels.broken) if rate.n else None,
        upper=rate.upper(levels.hold) if rate.n else None,
        limit=part.limit,
        result=part.result or "too small",
        p_over=p_over,
        alone=part.alone,
        critical=part.critical,
    )
    if part.result is not None:
        return known
    if is_broken:
        return replace(known, result="broken")
    if not part.alone:
        return known
    holds = rate.n > 0 and rate.p_below(effective(part.limit, policy)) <= levels.hold
    return replace(known, result="holds" if holds else "undecided")

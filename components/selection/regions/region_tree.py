"""Proposes regions that may hold the errors: nodes of shallow trees over factors and classes.

One tree sees all columns, and each column has a small tree of its own, so that a weaker factor is not hidden behind
a stronger one. Splits gain the most likelihood (Breiman et al. 1984); words are cut in the order of their error rates,
which finds the best cut of a two-valued target without trying every set. What is proposed proves nothing yet.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlogy

CLASS = "class"
_DEPTH_OF_ALL, _DEPTH_OF_ONE = 3, 2
_MIN_ROWS, _MIN_SHARE = 10, 0.02  # of the growing half, in every node
_SCREEN_P = 0.05  # a region that is not even conspicuous where it was found would only cost the others level
_MOST_SHARE = 0.5  # of the samples in a region: beyond, it says where errors are few, and is no place to aim at
_PER_CONDITION = 10.0  # how much less likely by chance a region must be to earn one condition more
_ALIKE = 0.7  # regions that share more than this of their samples are told once
_SHRINK = 2.0  # pseudo-samples that keep a word seen once from coming first or last
_TOLD = 3
_MOST_WORDS_SHARE = 0.2  # distinct words of all samples: beyond, a column is a name, not a factor


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`low < number <= high` with None for no bound, or, where `words` are given, one of them; unknown never holds."""

    factor: str
    low: float | None = None
    high: float | None = None
    words: tuple[str, ...] = ()

    def text(self) -> str:
        """The condition as people read it; of many words the first few."""
        if self.words:
            more = [f"{len(self.words) - _TOLD} more"] if len(self.words) > _TOLD + 1 else []
            return f"{self.factor} {' or '.join([*self.words[: _TOLD if more else None], *more])}"
        if self.low is not None and self.high is not None:
            return f"{self.factor} {self.low:g} to {self.high:g}"
        return f"{self.factor} > {self.low:g}" if self.low is not None else f"{self.factor} <= {self.high:g}"

    def narrowed(self, other: Condition) -> Condition:
        """Both conditions, on the same factor, at once; `other` was found within this one."""
        return Condition(
            factor=self.factor,
            low=self.low if other.low is None else other.low,
            high=self.high if other.high is None else other.high,
            words=other.words,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """All of its conditions, at most one a factor."""

    conditions: tuple[Condition, ...]

    def text(self) -> str:
        """The region as people read it."""
        return " and ".join(condition.text() for condition in self.conditions)

    def holds(self, table: ErrorTable) -> NDArray[np.bool_]:
        """Which samples lie inside, (N,)."""
        inside = np.ones(len(table), bool)
        for condition in self.conditions:
            inside &= table.where(condition)
        return inside

    def within(self, condition: Condition) -> Region:
        """The part of the region where one more condition holds."""
        known = {old.factor: old for old in self.conditions}
        old = known.get(condition.factor)
        known[condition.factor] = condition if old is None else old.narrowed(condition)
        return Region(conditions=tuple(known.values()))


@dataclass(frozen=True, eq=False)
class ErrorTable:
    """Samples that could have gone wrong: whether they did, (N,), and what is known of each.

    `numbers` are float64 (N,) with NaN where unknown, `words` are str or None; `groups` are int64 codes of what
    must not be torn apart, one code a sample where there are no groups.
    """

    wrong: NDArray[np.bool_]
    numbers: Mapping[str, NDArray[np.float64]]
    words: Mapping[str, NDArray[np.object_]]
    groups: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.wrong)

    def take(self, rows: NDArray[np.intp]) -> ErrorTable:
        """Some of the samples."""
        return ErrorTable(
            wrong=self.wrong[rows],
            numbers={name: values[rows] for name, values in self.numbers.items()},
            words={name: values[rows] for name, values in self.words.items()},
            groups=self.groups[rows],
        )

    def where(self, condition: Condition) -> NDArray[np.bool_]:
        """Which samples a condition holds for; none where its factor is unknown."""
        if condition.words:
            wanted = set(condition.words)
            values = self.words.get(condition.factor, np.full(len(self), None, object))
            return np.fromiter((value in wanted for value in values), bool, len(self))
        numbers = self.numbers.get(condition.factor, np.full(len(self), np.nan))
        low = -math.inf if condition.low is None else condition.low
        high = math.inf if condition.high is None else condition.high
        return np.asarray((numbers > low) & (numbers <= high), dtype=bool)

    def usable(self) -> tuple[ErrorTable, list[str]]:
        """The table without columns that cannot tell samples apart, and what was left out, in words."""
        notes = []
        most = max(2, round(_MOST_WORDS_SHARE * len(self)))
        numbers = {
            name: values for name, values in self.numbers.items() if len(np.unique(values[np.isfinite(values)])) > 1
        }
        words = {}
        for name, values in self.words.items():
            distinct = len({value for value in values if value is not None})
            if name == CLASS or 1 < distinct <= most:
                words[name] = values
            elif distinct > most:
                notes.append(
                    f"{name} is left out: {distinct} values among {len(self)} samples name, they do not group."
                )
        if not numbers:
            notes.append(
                "There are no numeric factors (columns f_*) on these samples, as is usual for real photos: only "
                f"{' and '.join(words) or 'nothing'} can be found, and an aim can only name classes."
            )
        return ErrorTable(wrong=self.wrong, numbers=numbers, words=words, groups=self.groups), notes


def propose_regions(table: ErrorTable, *, max_regions: int) -> list[Region]:
    """Regions where errors are more frequent than elsewhere in `table`, the likeliest first, no two much alike."""
    columns = [*table.numbers, *table.words]
    everything = Region(conditions=())
    found = set(_grow(table, everything, columns, _DEPTH_OF_ALL))
    for name in columns:
        found.update(_grow(table, everything, [name], _DEPTH_OF_ONE))
    scored = [(_score(table, region), region.text(), region) for region in found]
    kept: list[tuple[Region, NDArray[np.bool_]]] = []
    for score, _, region in sorted(scored, key=lambda item: item[:2]):
        inside = region.holds(table)
        if score <= _SCREEN_P and len(kept) < max_regions and not any(_alike(inside, other) for _, other in kept):
            kept.append((region, inside))
    return [region for region, _ in kept]


def fisher_p(k: int, n: int, errors: int, total: int) -> float:
    """P(at least k of n samples are errors) when `errors` of `total` are and the n are drawn blindly: one-sided."""
    if k <= max(0, n + errors - total):
        return 1.0
    possible = np.arange(k, min(n, errors) + 1)
    logs = _log_choose(n, possible) + _log_choose(total - n, errors - possible) - _log_choose(total, errors)
    return min(1.0, float(np.exp(logs).sum()))


def _log_choose(a: int, b: NDArray[np.int64] | int) -> NDArray[np.float64]:
    return np.asarray(gammaln(a + 1) - gammaln(np.add(b, 1)) - gammaln(np.subtract(a, b) + 1), np.float64)


def _score(table: ErrorTable, region: Region) -> float:
    inside = region.holds(table)
    k, n, errors, total = int(table.wrong[inside].sum()), int(inside.sum()), int(table.wrong.sum()), len(table)
    if k * total <= errors * n or n > _MOST_SHARE * total:
        return 1.0
    return fisher_p(k, n, errors, total) * _PER_CONDITION ** (len(region.conditions) - 1)


def _alike(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> bool:
    either = int((one | other).sum())
    return either > 0 and int((one & other).sum()) > _ALIKE * either


def _grow(table: ErrorTable, region: Region, columns: list[str], depth: int) -> Iterator[Region]:
    """All nodes below a region, which itself is left out."""
    smallest = max(_MIN_ROWS, round(_MIN_SHARE * len(table)))
    rows = np.flatnonzero(region.holds(table))
    if depth == 0 or len(rows) < 2 * smallest:
        return
    here = table.take(rows)
    splits = [split for split in (_best_split(here, name, smallest) for name in columns) if split is not None]
    if not splits:
        return
    _, below, above = max(splits, key=lambda split: split[0])
    for condition in (below, above):
        child = region.within(condition)
        yield child
        yield from _grow(table, child, columns, depth - 1)


def _best_split(table: ErrorTable, name: str, smallest: int) -> tuple[float, Condition, Condition] | None:
    """The gain in log-likelihood of the best cut of a column, and both of its sides; None where no cut is possible."""
    if name in table.numbers:
        return _cut_numbers(table, name, smallest)
    return _cut_words(table, name, smallest)


def _cut_numbers(table: ErrorTable, name: str, smallest: int) -> tuple[float, Condition, Condition] | None:
    values = table.numbers[name]
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    ordered, wrong = values[order], table.wrong[order]
    cuts = np.flatnonzero(np.diff(ordered) > 0) + 1
    cuts = cuts[(cuts >= smallest) & (cuts <= len(ordered) - smallest)]
    if not cuts.size:
        return None
    gains = _gains(np.cumsum(wrong, dtype=np.int64)[cuts - 1], cuts, int(wrong.sum()), len(ordered))
    best = int(gains.argmax())
    border = _plain_between(float(ordered[cuts[best] - 1]), float(ordered[cuts[best]]))
    return float(gains[best]), Condition(factor=name, high=border), Condition(factor=name, low=border)


def _cut_words(table: ErrorTable, name: str, smallest: int) -> tuple[float, Condition, Condition] | None:
    values, errors = table.words[name], float(table.wrong.mean())
    words = sorted({value for value in values if value is not None})
    masks = [values == word for word in words]
    sizes = np.array([mask.sum() for mask in masks], np.int64)
    wrong = np.array([table.wrong[mask].sum() for mask in masks], np.int64)
    order = np.argsort((wrong + _SHRINK * errors) / (sizes + _SHRINK), kind="stable")
    inside, total = np.cumsum(sizes[order])[:-1], int(sizes.sum())
    allowed = np.flatnonzero((inside >= smallest) & (inside <= total - smallest))
    if not allowed.size:
        return None
    gains = _gains(np.cumsum(wrong[order])[allowed], inside[allowed], int(wrong.sum()), total)
    best = int(allowed[gains.argmax()]) + 1
    sides = [tuple(sorted(words[index] for index in part)) for part in (order[:best], order[best:])]
    return float(gains.max()), Condition(factor=name, words=sides[0]), Condition(factor=name, words=sides[1])


def _gains(k: NDArray[np.int64], n: NDArray[np.int64], errors: int, total: int) -> NDArray[np.float64]:
    """What a cut adds to the log-likelihood when the first part has k errors among n."""
    whole = _log_likelihood(np.array([errors]), np.array([total]))
    return _log_likelihood(k, n) + _log_likelihood(errors - k, total - n) - whole


def _log_likelihood(k: NDArray[np.int64], n: NDArray[np.int64]) -> NDArray[np.float64]:
    rate = k / n
    return np.asarray(xlogy(k, rate) + xlogy(n - k, 1 - rate), np.float64)


def _plain_between(low: float, high: float) -> float:
    """A number with few digits in [low, high), so that `low` lies under the border or on it, and `high` over it."""
    middle = (low + high) / 2
    for digits in range(-3, 12):
        plain = round(middle, digits)
        if low <= plain < high:
            return plain
    return low

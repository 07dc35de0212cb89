"""What the gate tests, seen as rates: independent samples as binomial counts, grouped ones as means over groups.

Both answer the same questions, so the checks do not know which they are looking at. With groups the estimand
is the mean over groups of each group's own rate: the rate that a group drawn at random sees, large or small.
"""

from __future__ import annotations

from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.core.decisions import Counts
from components.core.errors import DataError
from components.selection import flips, paired
from components.selection.bounds import Binomial, GroupMeans, Rate
from components.selection.flips import Rows, Tally
from components.selection.policy import Policy


class Sample(Protocol):
    """A comparison of two models, ready to be tested."""

    tally: Tally

    def flip_rate(self) -> Rate:
        """Negative flips overall, over the policy's denominator."""

    def slice_rate(self, column: str, indices: NDArray[np.intp]) -> Rate:
        """Negative flips in the union of some values of a slice column."""

    def abstention_rate(self) -> Rate:
        """Abstentions of the new model."""

    def improvement_p(self) -> float:
        """The p-value for "the new model is more accurate"."""

    def worsening_p(self) -> float:
        """The p-value for "the new model is less accurate"."""

    def loss_upper(self, level: float) -> float:
        """An upper bound on the accuracy lost, old minus new, at least 0."""

    def loss_lower(self, level: float) -> float:
        """A lower bound on the accuracy lost, at least 0."""


class IndependentSample:
    """Samples drawn one by one; counts are enough, so tables of any length fit."""

    def __init__(self, tally: Tally, policy: Policy) -> None:
        """`tally` holds the columns that the policy slices by."""
        self.tally = tally
        self._policy = policy

    def flip_rate(self) -> Rate:
        """Binomial, overall."""
        return self._rate(counts_under(self.tally.total, self._policy))

    def slice_rate(self, column: str, indices: NDArray[np.intp]) -> Rate:
        """Binomial, in the union of the values."""
        return self._rate(counts_under(self.tally.columns[column].counts[indices].sum(axis=0), self._policy))

    def abstention_rate(self) -> Rate:
        """Binomial, overall."""
        counts = counts_under(self.tally.total, self._policy)
        return Binomial(counts.new_abstained, counts.n)

    def improvement_p(self) -> float:
        """The exact McNemar test."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.mcnemar_exact(gained, lost)

    def worsening_p(self) -> float:
        """The exact McNemar test the other way round."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.mcnemar_exact(lost, gained)

    def loss_upper(self, level: float) -> float:
        """The conservative bound of `paired`."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.loss_upper(gained, lost, int(self.tally.total.sum()), level)

    def loss_lower(self, level: float) -> float:
        """The conservative bound of `paired`."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.loss_lower(gained, lost, int(self.tally.total.sum()), level)

    def _rate(self, counts: Counts) -> Rate:
        n = counts.n if self._policy.denominator == "all" else counts.n_old_right
        return Binomial(counts.negative_flips, n)


class GroupedSample:
    """Samples that come in groups (one product, one hand, one day); groups are independent, their members not."""

    def __init__(self, rows: Rows, tally: Tally, policy: Policy) -> None:
        """`rows` hold the group column; DataError where a sample has no group."""
        self.tally = tally
        self._rows = rows
        self._policy = policy
        column = rows.slices.get(policy.groups or "")
        if column is None:
            raise DataError(f"group column '{policy.groups}' is not in the verdict tables, found {sorted(rows.slices)}")
        if column.indices.null_count:
            raise DataError(f"{column.indices.null_count} samples have no value in the group column '{policy.groups}'")
        self._codes = column.indices.to_numpy().astype(np.int64)

    @cached_property
    def _negative(self) -> NDArray[np.bool_]:
        return self._rows.negative(abstained_is_wrong=self._policy.abstentions.rule == "wrong")

    @property
    def num_groups(self) -> int:
        """The number of groups that hold at least one sample."""
        return len(np.unique(self._codes))

    def flip_rate(self) -> Rate:
        """The mean over groups of each group's negative-flip rate."""
        return self._means(self._negative.astype(float), self._counted())

    def slice_rate(self, column: str, indices: NDArray[np.intp]) -> Rate:
        """The same, over the groups' samples that lie in the slice."""
        return self._means(self._negative.astype(float), self._counted() & self._in_slice(column, indices))

    def abstention_rate(self) -> Rate:
        """The mean over groups of the share of abstentions."""
        return self._means((self._rows.new == -1).astype(float), np.ones(len(self._rows), bool))

    def improvement_p(self) -> float:
        """Bets on the mean loss of accuracy per group being under 0."""
        return self._loss().p_below(0.5)

    def worsening_p(self) -> float:
        """Bets on the mean loss of accuracy per group being over 0."""
        return self._loss().p_above(0.5)

    def loss_upper(self, level: float) -> float:
        """The betting bound on the mean loss of accuracy per group."""
        return max(0.0, 2.0 * self._loss().upper(level) - 1.0)

    def loss_lower(self, level: float) -> float:
        """The betting bound on the mean loss of accuracy per group."""
        return max(0.0, 2.0 * self._loss().lower(level) - 1.0)

    def weighted_rate(self, weights: NDArray[np.float64]) -> Rate:
        """The mean over groups of the mean weight, weights being in [0, 1]."""
        return self._means(weights, np.ones(len(self._rows), bool))

    def _counted(self) -> NDArray[np.bool_]:
        everything = np.ones(len(self._rows), bool)
        return everything if self._policy.denominator == "all" else np.asarray(self._rows.old == 1, dtype=bool)

    def _in_slice(self, column: str, indices: NDArray[np.intp]) -> NDArray[np.bool_]:
        values = set(np.asarray(self.tally.columns[column].values, dtype=object)[indices])
        source = self._column(column)
        names = np.asarray([*source.dictionary.to_pylist(), None], dtype=object)
        wanted = np.fromiter((name in values for name in names), bool, len(names))
        return np.asarray(wanted[source.indices.fill_null(len(names) - 1).to_numpy()], dtype=bool)

    def _column(self, column: str) -> pa.DictionaryArray:
        if column in self._rows.slices:
            return self._rows.slices[column]
        first, second = column.split(" x ")
        return flips.crossed(self._rows.slices[first], self._rows.slices[second])

    def _loss(self) -> Rate:
        loss = (self._rows.old == 1).astype(float) - (self._rows.new == 1)
        return self._means((loss + 1.0) / 2, np.ones(len(self._rows), bool))

    def _means(self, values: NDArray[np.float64], mask: NDArray[np.bool_]) -> Rate:
        sizes = np.bincount(self._codes[mask])
        sums = np.bincount(self._codes[mask], weights=values[mask])
        return GroupMeans(sums[sizes > 0] / sizes[sizes > 0])


def counts_under(states: NDArray[np.int64], policy: Policy) -> Counts:
    """The named counts of nine, abstentions counted as the policy says."""
    return flips.counts_of(states, abstained_is_wrong=policy.abstentions.rule == "wrong")

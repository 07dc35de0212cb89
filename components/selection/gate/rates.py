"""What the gate tests, seen as rates: independent samples as binomial counts, grouped ones as means over groups.

Both answer the same questions, so the checks do not know which they are looking at. With groups the estimand
is the mean over groups of each group's own rate: the rate that a group drawn at random sees, large or small. It is
seen in two ways, of which either may prove a claim at half the level: bets on the group means, sharp where groups
are large and many of a kind; and one member of each group, drawn by a hash of its id, a binomial sample with exactly
that mean, sharp where most groups have one member.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.core.decisions import Counts
from components.core.errors import DataError
from components.selection.gate import flips, paired
from components.selection.gate.bounds import Binomial, Either, GroupMeans, Rate
from components.selection.gate.flips import Rows, Tally
from components.selection.gate.policy import Policy


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

    def loss_under(self, margin: float, level: float) -> bool:
        """Whether the accuracy lost is proven under `margin`: as the bound would, and quicker."""

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
        """The exact bound of `paired`."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.loss_upper(gained, lost, int(self.tally.total.sum()), level)

    def loss_under(self, margin: float, level: float) -> bool:
        """The exact test of `paired`."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.loss_under(margin, gained, lost, int(self.tally.total.sum()), level)

    def loss_lower(self, level: float) -> float:
        """The conservative bound of `paired`."""
        gained, lost, _ = flips.discordant(self.tally.total)
        return paired.loss_lower(gained, lost, int(self.tally.total.sum()), level)

    def _rate(self, counts: Counts) -> Rate:
        n = counts.n if self._policy.denominator == "all" else counts.n_old_right
        return Binomial(counts.negative_flips, n)


class GroupedSample:
    """Samples that come in groups (one product, one hand, one day); groups are independent, their members not."""

    def __init__(self, rows: Rows, tally: Tally, policy: Policy, groups: pa.DictionaryArray) -> None:
        """`groups`: one value a row; DataError where a sample has none."""
        self.tally = tally
        self._rows = rows
        self._policy = policy
        self._slice_codes: dict[str, tuple[dict[str | None, int], NDArray[np.int64]]] = {}
        if groups.null_count:
            raise DataError(f"{groups.null_count} samples have no group; give every sample one")
        self._codes = groups.indices.to_numpy().astype(np.int64)

    @cached_property
    def _negative(self) -> NDArray[np.bool_]:
        return self._rows.negative(abstained_is_wrong=self._policy.abstentions.rule == "wrong")

    @cached_property
    def _drawn_first(self) -> NDArray[np.intp]:
        """The rows by group, and within a group in an order that depends on their ids alone."""
        lots = np.fromiter((_lot(sample_id) for sample_id in self._rows.ids.to_pylist()), np.uint64, len(self._rows))
        return np.lexsort((lots, self._codes))

    @property
    def num_groups(self) -> int:
        """The number of groups that hold at least one sample."""
        return len(np.unique(self._codes))

    def flip_rate(self) -> Rate:
        """The mean over groups of each group's negative-flip rate."""
        return self._share(self._negative, self._counted())

    def slice_rate(self, column: str, indices: NDArray[np.intp]) -> Rate:
        """The same, over the groups' samples that lie in the slice."""
        return self._share(self._negative, self._counted() & self._in_slice(column, indices))

    def abstention_rate(self) -> Rate:
        """The mean over groups of the share of abstentions."""
        return self.share(self._rows.new == -1)

    def share(self, holds: NDArray[np.bool_]) -> Rate:
        """The mean over groups of the share of members for which something holds."""
        return self._share(holds, np.ones(len(self._rows), bool))

    def improvement_p(self) -> float:
        """Either bets on the mean loss of accuracy per group being under 0, or the McNemar test of those drawn."""
        gained, lost, _ = self._discordant
        return min(1.0, 2.0 * min(self._loss.p_below(0.5), paired.mcnemar_exact(gained, lost)))

    def worsening_p(self) -> float:
        """The same the other way round."""
        gained, lost, _ = self._discordant
        return min(1.0, 2.0 * min(self._loss.p_above(0.5), paired.mcnemar_exact(lost, gained)))

    def loss_upper(self, level: float) -> float:
        """The tighter, at half the level, of the betting bound and the exact one of those drawn."""
        bets = max(0.0, 2.0 * self._loss.upper(level / 2) - 1.0)
        return min(bets, paired.loss_upper(*self._discordant, level / 2))

    def loss_under(self, margin: float, level: float) -> bool:
        """Whether either proves it at half the level."""
        bets = self._loss.p_below((1.0 + margin) / 2) <= level / 2
        return bool(bets or paired.loss_under(margin, *self._discordant, level / 2))

    def loss_lower(self, level: float) -> float:
        """The tighter of the two at half the level."""
        bets = max(0.0, 2.0 * self._loss.lower(level / 2) - 1.0)
        return max(bets, paired.loss_lower(*self._discordant, level / 2))

    def weighted_rate(self, weights: NDArray[np.float64]) -> Rate:
        """The mean over groups of the mean weight, weights being in [0, 1]; bets alone."""
        return self._means(weights, np.ones(len(self._rows), bool))

    def _counted(self) -> NDArray[np.bool_]:
        everything = np.ones(len(self._rows), bool)
        return everything if self._policy.denominator == "all" else np.asarray(self._rows.old == 1, dtype=bool)

    def _in_slice(self, column: str, indices: NDArray[np.intp]) -> NDArray[np.bool_]:
        if column not in self._slice_codes:
            source = self._column(column)
            names = [*source.dictionary.to_pylist(), None]
            codes = source.indices.fill_null(len(names) - 1).to_numpy().astype(np.int64)
            self._slice_codes[column] = {name: index for index, name in enumerate(names)}, codes
        places, codes = self._slice_codes[column]
        values = self.tally.columns[column].values
        return np.isin(codes, [places[values[index]] for index in indices.tolist() if values[index] in places])

    def _column(self, column: str) -> pa.DictionaryArray:
        if column in self._rows.slices:
            return self._rows.slices[column]
        first, second = column.split(" x ")
        return flips.crossed(self._rows.slices[first], self._rows.slices[second])

    @cached_property
    def _loss(self) -> Rate:
        loss = (self._rows.old == 1).astype(float) - (self._rows.new == 1)
        return self._means((loss + 1.0) / 2, np.ones(len(self._rows), bool))

    @cached_property
    def _discordant(self) -> tuple[int, int, int]:
        """Gained, lost and number of those drawn, one a group."""
        drawn = self._draw(np.ones(len(self._rows), bool))
        was, now = self._rows.old[drawn] == 1, self._rows.new[drawn] == 1
        return int((~was & now).sum()), int((was & ~now).sum()), len(drawn)

    def _share(self, holds: NDArray[np.bool_], mask: NDArray[np.bool_]) -> Rate:
        drawn = self._draw(mask)
        return Either(
            first=self._means(holds.astype(float), mask), second=Binomial(int(holds[drawn].sum()), len(drawn))
        )

    def _draw(self, mask: NDArray[np.bool_]) -> NDArray[np.intp]:
        """One row of each group that has any under the mask."""
        candidates = self._drawn_first[mask[self._drawn_first]]
        codes = self._codes[candidates]
        return candidates[np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])] if len(codes) else candidates

    def _means(self, values: NDArray[np.float64], mask: NDArray[np.bool_]) -> GroupMeans:
        sizes = np.bincount(self._codes[mask])
        sums = np.bincount(self._codes[mask], weights=values[mask])
        return GroupMeans(sums[sizes > 0] / sizes[sizes > 0])


def _lot(sample_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(str(sample_id).encode(), digest_size=8).digest(), "big")


def counts_under(states: NDArray[np.int64], policy: Policy) -> Counts:
    """The named counts of nine, abstentions counted as the policy says."""
    return flips.counts_of(states, abstained_is_wrong=policy.abstentions.rule == "wrong")


def effective(limit: float, policy: Policy) -> float:
    """The limit on a rate seen through labels of which a share may be wrong.

    A true flip under a wrong label is not seen as one, so the rate seen is at least (1 - noise) times the true one.
    """
    return limit * (1.0 - policy.label_noise)


def effective_margin(policy: Policy) -> float:
    """The margin of accuracy lost, seen through such labels: a wrong one may even turn a loss into a gain."""
    return policy.improvement.margin * (1.0 - 2.0 * policy.label_noise)

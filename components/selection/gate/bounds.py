"""Bounds on a rate that hold at any finite size: exact binomial ones, and a betting bound for group means.

Clopper and Pearson 1934 for independent samples. For group means in [0, 1], the betting approach of
Waudby-Smith and Ramdas 2024 with a fixed mixture of bets: under "mean >= m" each factor
1 + f * (m - x) / (1 - m), 0 <= f <= 1, is non-negative with expectation at most 1, so the average over f of the
products is at least 1/level with probability at most `level` (Markov). A fixed mixture, unlike bets that
learn, does not depend on the order of groups and never gains from one more flip.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import special

_LINEAR = (np.arange(16) + 0.5) / 16  # the best bet against mean m at true mean p is 1 - p/m for p < m
_SMALL = np.geomspace(1e-4, 0.03, 8)  # and a small one for p > m, where m is near 0
_BETS = np.concatenate([_LINEAR, _SMALL, [1.0]])
_LOG_WEIGHTS = np.log(np.repeat([0.5 / 16, 0.25 / 8, 0.25], [16, 8, 1]))  # no flip at all is common: bet 1 weighs more
_BISECTIONS = 40
_Distinct = tuple[NDArray[np.float64], NDArray[np.int64]]  # values and how often each occurs


class Rate(Protocol):
    """A rate observed on a sample; p-values and bounds are one-sided and valid at any size."""

    @property
    def n(self) -> int:
        """The number of samples, or of groups."""

    @property
    def point(self) -> float:
        """The observed rate."""

    def p_below(self, limit: float) -> float:
        """The p-value for claiming "the true rate is under `limit`"."""

    def p_above(self, limit: float) -> float:
        """The p-value for claiming "the true rate is over `limit`"."""

    def upper(self, level: float) -> float:
        """The upper confidence bound at 1 - level."""

    def lower(self, level: float) -> float:
        """The lower confidence bound at 1 - level."""


@dataclass(frozen=True)
class Binomial:
    """`count` of `n` independent samples."""

    count: int
    n: int

    @property
    def point(self) -> float:
        """The observed share; 0 of 0 is 0."""
        return self.count / self.n if self.n else 0.0

    def p_below(self, limit: float) -> float:
        """P(at most `count` of n) if the true rate were `limit`: small means the rate is lower."""
        return float(special.bdtr(self.count, self.n, limit)) if self.n else 1.0

    def p_above(self, limit: float) -> float:
        """P(at least `count` of n) if the true rate were `limit`: small means the rate is higher."""
        return float(special.bdtrc(self.count - 1, self.n, limit)) if self.count else 1.0

    def upper(self, level: float) -> float:
        """Clopper-Pearson upper bound."""
        if self.count >= self.n:
            return 1.0
        return float(special.betainccinv(self.count + 1, self.n - self.count, level))

    def lower(self, level: float) -> float:
        """Clopper-Pearson lower bound."""
        if self.count <= 0:
            return 0.0
        return float(special.betaincinv(self.count, self.n - self.count + 1, level))


@dataclass(frozen=True, eq=False)
class GroupMeans:
    """Means of independent groups, each in [0, 1]; the rate is the mean over groups, all alike in weight."""

    values: NDArray[np.float64]

    @cached_property
    def _distinct(self) -> _Distinct:
        return np.unique(self.values, return_counts=True)

    @cached_property
    def _mirrored(self) -> _Distinct:
        return 1.0 - self._distinct[0], self._distinct[1]

    @property
    def n(self) -> int:
        """The number of groups."""
        return len(self.values)

    @property
    def point(self) -> float:
        """The mean of the group means; 0 of no group is 0."""
        values, counts = self._distinct
        return float(values @ counts / self.n) if self.n else 0.0

    def p_below(self, limit: float) -> float:
        """The betting p-value for "the mean over groups is under `limit`"."""
        return _betting_p(self._distinct, limit)

    def p_above(self, limit: float) -> float:
        """The betting p-value for "the mean over groups is over `limit`"."""
        return _betting_p(self._mirrored, 1.0 - limit)

    def upper(self, level: float) -> float:
        """The smallest mean that the bets exclude at `level`, rounded outwards."""
        return _betting_upper(self._distinct, level)

    def lower(self, level: float) -> float:
        """The largest mean that the bets exclude from below, rounded outwards."""
        return 1.0 - _betting_upper(self._mirrored, level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Either:
    """One rate seen in two ways, each valid by itself: what either proves at half the level is proven."""

    first: Rate
    second: Rate

    @property
    def n(self) -> int:
        """The number of the first."""
        return self.first.n

    @property
    def point(self) -> float:
        """The rate as the first sees it."""
        return self.first.point

    def p_below(self, limit: float) -> float:
        """Twice the smaller p-value."""
        return min(1.0, 2.0 * min(self.first.p_below(limit), self.second.p_below(limit)))

    def p_above(self, limit: float) -> float:
        """Twice the smaller p-value."""
        return min(1.0, 2.0 * min(self.first.p_above(limit), self.second.p_above(limit)))

    def upper(self, level: float) -> float:
        """The tighter bound at half the level."""
        return min(self.first.upper(level / 2), self.second.upper(level / 2))

    def lower(self, level: float) -> float:
        """The tighter bound at half the level."""
        return max(self.first.lower(level / 2), self.second.lower(level / 2))


def most_flips(n: int, limit: float, level: float) -> int:
    """The most flips of `n` that still prove a rate under `limit` at `level`; -1 when not even zero do."""
    inverse = float(special.bdtrik(level, n, limit))
    most = -1 if math.isnan(inverse) else min(int(inverse) + 1, n)
    while most >= 0 and special.bdtr(most, n, limit) > level:
        most -= 1
    return most


def _betting_p(distinct: _Distinct, limit: float) -> float:
    if not len(distinct[0]) or not 0.0 < limit < 1.0:
        return 1.0
    return float(np.exp(min(0.0, -np.logaddexp.reduce(_log_wealth(distinct, limit) + _LOG_WEIGHTS))))


def _log_wealth(distinct: _Distinct, limit: float) -> NDArray[np.float64]:
    """What each bet against "mean >= limit" has grown to, as logarithms."""
    values, counts = distinct
    gains = (limit - values) / (1.0 - limit)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(np.maximum(_BETS[:, None] * gains, -1.0)) @ counts)


def _betting_upper(distinct: _Distinct, level: float) -> float:
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if _betting_p(distinct, middle) <= level else (middle, high)
    return high

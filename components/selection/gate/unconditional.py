"""An exact upper bound on accuracy lost, old minus new, from the samples that went either way.

Buehler's bound (1957) for an ordering of outcomes: the largest loss under which an outcome at least as good as the
one seen still has a chance over the level. Outcomes are ordered by Tango's score limit, the best approximate one; the
exact chance is then taken at its worst over the nuisance, the share of losses, inside a confidence bound for it that
costs a twentieth of the level (Berger and Boos 1994). Nothing is approximated: between the points of a grid the chance
is bounded by moving losses down and gains up, which only ever makes a good outcome likelier. One loss more or one
gain less never lowers the bound. THEORY.md has the proof.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

_NUISANCE_SHARE = 0.05  # of the level, for the upper bound on the share of losses
_STEP = 0.005  # of the grid: a hundredth of a standard error of the loss, coarser over 2,000 samples
_LATTICE = 1 << 16  # bounds are rounded outwards to a multiple of its inverse
_NEGLIGIBLE = 1e-9  # of the level: chances that small are added as a whole, not one by one
_Floats = NDArray[np.float64]


def loss_upper(gained: int, lost: int, n: int, level: float) -> float:
    """The upper bound at 1 - level on the share lost minus the share gained, at least 0."""
    good = _Outcomes.at_least_as_good(gained, lost, n, level)
    low, high = -1, math.ceil(good.most_lost * _LATTICE)
    guess, step = round(good.limit * _LATTICE), max(1, round(good.limit * _LATTICE / 256))
    while low < guess < high:
        low, high = (low, guess) if good.refute(guess / _LATTICE) else (guess, high)
        guess, step = (guess - step, 4 * step) if guess == high else (guess + step, 4 * step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if good.refute(middle / _LATTICE) else (middle, high)
    return high / _LATTICE


def proves_under(margin: float, gained: int, lost: int, n: int, level: float) -> bool:
    """Whether the loss is proven under `margin`, which is whether its upper bound at 1 - level does not pass it."""
    return _Outcomes.at_least_as_good(gained, lost, n, level).refute(margin)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcomes:
    """The outcomes at least as good as one seen: of `discordant[i]` samples at most `lost[i]` were lost."""

    n: int
    level: float
    limit: float  # the score limit of the outcome seen
    most_lost: float  # the upper bound on the share of losses
    lost: NDArray[np.int64]  # by number of discordant samples, 0 to n; -1 is none
    log_choose: _Floats

    @classmethod
    def at_least_as_good(cls, gained: int, lost: int, n: int, level: float) -> _Outcomes:
        """Those whose score limit is at most that of the outcome seen."""
        share = special.betainccinv(lost + 1, n - lost, level * _NUISANCE_SHARE) if lost < n else 1.0
        limit = _score_limit(gained, lost, n, level)
        reach = float(score(np.array([gained]), np.array([lost]), n, limit)[0]) + 1e-9
        discordant = np.arange(n + 1)
        low, high = np.full(n + 1, -1), discordant + 1
        for _ in range(n.bit_length() + 1):
            middle = (low + high) // 2
            inside = (middle >= 0) & (score(discordant - middle, middle, n, limit) <= reach)
            low, high = np.where(inside, middle, low), np.where(inside | (high - low <= 1), high, middle)
        low = np.maximum.accumulate(low)  # a gain more keeps an outcome good, and so does a loss less
        low = np.maximum.accumulate((low - discordant)[::-1])[::-1] + discordant
        of_all = special.gammaln(n + 1) - special.gammaln(discordant + 1) - special.gammaln(n - discordant + 1)
        return cls(n=n, level=level, limit=limit, most_lost=float(share), lost=low, log_choose=of_all)

    def refute(self, loss: float) -> bool:
        """Whether these outcomes are too unlikely, at the level, under every nuisance with this loss or more.

        The shares of losses from `loss` to the most are cut into intervals, an interval whose bound is too high into
        halves, down to those of the grid.
        """
        if loss > self.most_lost:
            return True
        step = _STEP * math.sqrt(2.0 / min(self.n, 2000))
        inner = np.arange(math.ceil(math.sqrt(loss) / step), math.floor(math.sqrt(self.most_lost) / step) + 1) * step
        edges = np.unique(np.clip(np.r_[loss, inner**2, self.most_lost], loss, self.most_lost)).tolist()
        parts = [(0, len(edges) - 1)]
        while parts:
            first, last = parts.pop()
            if self._chance(edges[first], edges[last] - loss) <= self.level * (1.0 - _NUISANCE_SHARE - _NEGLIGIBLE):
                continue
            if last - first <= 1:
                return False
            parts += [(first, (first + last) // 2), ((first + last) // 2, last)]
        return True

    def _chance(self, losses: float, gains: float) -> float:
        """The chance of these outcomes; fewer losses, or more gains, never lower it."""
        both = min(losses + max(gains, 0.0), 1.0 - 1e-15)
        return self._at(both, losses / both)

    def _at(self, discordant: float, of_them: float) -> float:
        spread = 10.0 * math.sqrt(self.n * discordant) + 60.0
        first = max(0, math.floor(self.n * discordant - spread))
        here = slice(first, min(self.n, math.ceil(self.n * discordant + spread)) + 1)
        count = np.arange(here.start, here.stop)
        pmf = np.exp(self.log_choose[here] + count * math.log(discordant) + (self.n - count) * math.log1p(-discordant))
        most = self.lost[here]
        some = (most >= 0) & (pmf > self.level * _NEGLIGIBLE / (2 * (self.n + 1)))
        return float(pmf[some] @ special.bdtr(most[some], count[some], of_them))


def score(gained: NDArray[np.int64], lost: NDArray[np.int64], n: int, loss: float) -> _Floats:
    """Tango's statistic for "the share lost minus the share gained is `loss`"; small means that it is less."""
    b = -gained - lost + (2 * n - lost + gained) * loss
    c = -gained * loss * (1.0 - loss)
    nuisance = (np.sqrt(np.maximum(b * b - 8.0 * n * c, 0.0)) - b) / (4.0 * n)
    variance = n * np.maximum(2.0 * nuisance + loss * (1.0 - loss), 1e-300)
    return np.asarray((lost - gained - n * loss) / np.sqrt(variance), dtype=np.float64)


def _score_limit(gained: int, lost: int, n: int, level: float) -> float:
    """Tango's upper limit on the loss, at least 0: the one that the statistic puts at `level`."""
    z, point = float(special.ndtri(level)), max((lost - gained) / n, 0.0)
    counts = np.array([gained]), np.array([lost])

    def distance(loss: float) -> float:
        return float(score(*counts, n, loss)[0]) - z

    edge = 1.0 - 1e-12
    if distance(max(point, 1e-12)) <= 0.0:
        return max(point, 1e-12)
    return edge if distance(edge) >= 0.0 else float(optimize.brentq(distance, max(point, 1e-12), edge))

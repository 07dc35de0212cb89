"""Is the new model better, or not worse than a margin, on the same samples: exact tests decide, intervals inform.

`gained` samples went from not right to right, `lost` from right to not right, of `n`; an abstention is not right,
whatever the rule about flips. Deciding: the exact McNemar test, and for a margin the exact unconditional bound of
`unconditional`. Reported only: mid-p McNemar (Fagerland, Lydersen and Laake 2013), Newcombe's 1998 square-and-add
interval (his method 10) and Tango's 1998 score interval.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from components.core.decisions import Paired
from components.selection.gate import unconditional
from components.selection.gate.bounds import Binomial

EXACT_UP_TO = 20_000  # samples; beyond, the product is as good and quick
_DISCORDANT_SHARE = 0.1  # of the level, spent on the share of discordant samples
_MORE_GAINS = 32  # beyond, one more gain only ever lowers the product


def mcnemar_exact(gained: int, lost: int) -> float:
    """One-sided exact p-value for "the new model is more accurate": P(at least `gained` of the discordant)."""
    return Binomial(gained, gained + lost).p_above(0.5)


def mcnemar_mid_p(gained: int, lost: int) -> float:
    """One-sided mid-p value: half the weight on the observed outcome; slightly liberal, so reported only."""
    discordant = gained + lost
    return 0.5 * (mcnemar_exact(gained, lost) + Binomial(gained + 1, discordant).p_above(0.5)) if discordant else 0.5


def loss_upper(gained: int, lost: int, n: int, level: float) -> float:
    """An upper bound at 1 - level on accuracy lost (old minus new), at least 0; valid at any size.

    The exact unconditional bound up to `EXACT_UP_TO` samples, the product of two bounds beyond.
    """
    if n <= EXACT_UP_TO:
        return unconditional.loss_upper(gained, lost, n, level)
    return product_upper(gained, lost, n, level)


def loss_under(margin: float, gained: int, lost: int, n: int, level: float) -> bool:
    """Whether accuracy lost is proven under `margin` at `level`; quicker than the bound."""
    if n <= EXACT_UP_TO:
        return unconditional.proves_under(margin, gained, lost, n, level)
    return product_upper(gained, lost, n, level) < margin


def product_upper(gained: int, lost: int, n: int, level: float) -> float:
    """The bound d * (2q - 1), d the share of discordant samples and q the share of losses among them.

    Both have Clopper-Pearson upper bounds, q's conditional on the number of discordant samples. Where that number is
    small the product can fall as gains are taken away, so the largest over some more gains is taken.
    """
    gains = np.arange(gained, min(gained + _MORE_GAINS, n - lost) + 1)
    of_all = _upper(gains + lost, n, level * _DISCORDANT_SHARE)
    of_discordant = _upper(lost, gains + lost, level * (1.0 - _DISCORDANT_SHARE))
    return float(np.max(of_all * np.maximum(0.0, 2.0 * of_discordant - 1.0)))


def loss_lower(gained: int, lost: int, n: int, level: float) -> float:
    """A lower bound at 1 - level on accuracy lost, at least 0; conservative at any size."""
    discordant = gained + lost
    of_all = Binomial(discordant, n).lower(level * _DISCORDANT_SHARE)
    of_discordant = Binomial(lost, discordant).lower(level * (1.0 - _DISCORDANT_SHARE))
    return of_all * max(0.0, 2.0 * of_discordant - 1.0)


def report(gained: int, lost: int, both: int, n: int) -> Paired:
    """The paired statistics of one comparison; `both` samples are right under both models; 95% intervals."""
    return Paired(
        difference=(gained - lost) / n,
        mcnemar_exact=mcnemar_exact(gained, lost),
        mcnemar_mid_p=mcnemar_mid_p(gained, lost),
        newcombe=newcombe_interval(gained, lost, both, n),
        tango=tango_interval(gained, lost, n),
    )


def newcombe_interval(gained: int, lost: int, both: int, n: int, *, level: float = 0.05) -> tuple[float, float]:
    """Newcombe's hybrid score interval (method 10) of the difference of two paired shares, new minus old."""
    neither = n - gained - lost - both
    new, old = (both + gained) / n, (both + lost) / n
    new_low, new_high = _wilson(new, n, level)
    old_low, old_high = _wilson(old, n, level)
    phi = _newcombe_phi(both, gained, lost, neither)
    down = (new - new_low) ** 2 - 2 * phi * (new - new_low) * (old_high - old) + (old_high - old) ** 2
    up = (old - old_low) ** 2 - 2 * phi * (old - old_low) * (new_high - new) + (new_high - new) ** 2
    return new - old - math.sqrt(max(down, 0.0)), new - old + math.sqrt(max(up, 0.0))


def tango_interval(gained: int, lost: int, n: int, *, level: float = 0.05) -> tuple[float, float]:
    """Tango's score interval of the difference of two paired shares, new minus old."""
    z = float(special.ndtri(1.0 - level / 2))
    point = (gained - lost) / n

    def distance(delta: float, sign: float) -> float:
        return sign * _tango_z(gained, lost, n, delta) - z

    edge = 1.0 - 1e-12
    low = -1.0 if distance(-edge, 1.0) <= 0 else optimize.brentq(lambda d: distance(d, 1.0), -edge, point)
    high = 1.0 if distance(edge, -1.0) <= 0 else optimize.brentq(lambda d: distance(d, -1.0), point, edge)
    return float(low), float(high)


def _upper(count: NDArray[np.int64] | int, n: NDArray[np.int64] | int, level: float) -> NDArray[np.float64]:
    rest = np.subtract(n, count)
    bound = special.betainccinv(np.add(count, 1), np.maximum(rest, 1), level)
    return np.where(rest > 0, bound, 1.0)


def _wilson(share: float, n: int, level: float) -> tuple[float, float]:
    z = float(special.ndtri(1.0 - level / 2))
    centre, width = 2 * n * share + z * z, z * math.sqrt(z * z + 4 * n * share * (1 - share))
    return (centre - width) / (2 * (n + z * z)), (centre + width) / (2 * (n + z * z))


def _newcombe_phi(a: int, b: int, c: int, d: int) -> float:
    product = math.sqrt((a + b) * (c + d) * (a + c) * (b + d))
    if product == 0:
        return 0.0
    numerator = a * d - b * c
    n = a + b + c + d
    return (max(numerator - n / 2, 0.0) if numerator > 0 else float(numerator)) / product


def _tango_z(gained: int, lost: int, n: int, delta: float) -> float:
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1.0 - delta)
    lost_share = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
    variance = n * (2 * lost_share + delta * (1.0 - delta))
    return (gained - lost - n * delta) / math.sqrt(variance) if variance > 0 else 0.0

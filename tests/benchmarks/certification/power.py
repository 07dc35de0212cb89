"""How often a good candidate is promoted: exact sums over an overall limit and equal slices, no simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from components.selection.gate.bounds import most_flips
from components.selection.gate.policy import SpendingPolicy
from tests.benchmarks.certification import histories, shipped

LIMIT, SLICE_LIMIT, PLAN = 0.01, 0.05, SpendingPolicy()
LOOKS = (2, 3, 5, 8, 12, 20)
HISTORIES = {
    "nothing promoted": frozenset[int](),
    "the bootstrap alone": frozenset({1}),
    "every fifth promoted": histories.every(5, 21),
    "every third promoted": histories.every(3, 21),
}


def promoted(n: int, rate: float, parts: int, level: float, slice_level: float | None = None) -> float:
    """P(the whole and every one of `parts` equal slices prove their limits at `level`) at a uniform true rate."""
    size = n // parts
    allowed = most_flips(size, SLICE_LIMIT, slice_level or level)
    most = most_flips(n, LIMIT, level)
    if allowed < 0 or most < 0:
        return 0.0
    one = stats.binom.pmf(np.arange(allowed + 1), size, rate)
    total = np.ones(1)
    for _ in range(parts):
        total = np.convolve(total, one)[: most + 1]
    return float(total.sum())


def at_look(look: int, promotions: int = 0) -> float:
    """The level of a look under the default plan, after promotions at the first looks."""
    return histories.level(look, frozenset(range(1, promotions + 1)))


def shipped_at(levels: Sequence[float], *, draws: int, seed: int, flips: float = 0.004) -> list[float]:
    """The share promoted under the whole policy of params.yaml, at 1,346 photos and equal accuracy, by level."""
    drawn = shipped.draw(shipped.uniform(flips), shipped.sizes(), draws, np.random.default_rng([seed, 61]))
    p = drawn.p_values()
    return [float((p <= level).mean()) for level in levels]


def bonferroni(parts: int) -> float:
    """The level of a gate that divides alpha among all planned looks and all tests."""
    return PLAN.alpha / (PLAN.planned_looks * (parts + 1))


def slow_decay(look: int) -> float:
    """The level of the usual rule for an endless sequence, 6 / (pi k)^2."""
    return PLAN.alpha * 6 / (math.pi * look) ** 2


def table(rate: float = 0.005) -> list[str]:
    """Lines of the power table: by n, by look, by slices, beside Bonferroni; then the cost of promotions."""
    lines = ["  share promoted at a true rate of 0.5%, limits 1% and 5% (exact)"]
    lines.append("      n  slices   look 1   look 2  look 10  look 20   Bonferroni of 21 looks")
    for n in (1000, 2000, 5000, 10_000, 20_000):
        for parts in (1, 10, 20):
            powers = [promoted(n, rate, parts, at_look(look)) for look in (1, 2, 10, 20)]
            told = "  ".join(f"{power:7.1%}" for power in powers)
            lines.append(f"  {n:5d}  {parts:6d}  {told}   {promoted(n, rate, parts, bonferroni(parts)):7.1%}")
    for name, promoted_at in HISTORIES.items():
        told = "  ".join(
            f"{look}: {promoted(5000, rate, 10, histories.level(look, promoted_at)):.1%}" for look in LOOKS
        )
        lines.append(f"  n 5000, ten slices, {name}, at look {told}")
    whole, parts_only = promoted(5000, rate, 1, at_look(20)), promoted(5000, rate, 10, at_look(20))
    lines.append(f"  where power goes at look 20: the whole alone {whole:.1%}, with its ten slices {parts_only:.1%}")
    return lines

"""Simulated lives of a certify split: how often any candidate whose true rate breaks a limit is promoted.

A life is a sequence of looks. Flips are drawn from the candidates' true rates, gates see counts, and the gate's own
critical counts and levels come from the components, so that what is simulated is what decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from components.selection.bounds import Binomial, GroupMeans, most_flips
from components.selection.policy import SpendingPolicy
from components.selection.spending import look_level

ALPHA = 0.05
GATES = ("detent", "point", "uncorrected", "bonferroni")
Counts = NDArray[np.int64]
Critical = Callable[[float], Counts]  # level -> the most flips that pass, per tested slice (the last is the whole)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting: `draw(rng, lives, bad)` gives counts (lives, tests), `critical` what passes at a level."""

    name: str
    structure: str
    looks: int
    pattern: str  # bad: every candidate breaks a limit; mixed: half do; ratchet: good ones until one is promoted
    draw: Callable[[np.random.Generator, NDArray[np.bool_]], Counts]
    critical: Critical
    naive: Critical  # what the peers' bound lets pass, which takes samples for independent
    point: Counts
    exact: float | None = None


def cells(*, short: bool) -> list[Cell]:
    """All settings: sizes, true rates, slices, groups, and searches of 1, 20 and 100 candidates."""
    sizes, rates = ((500, 5000), (1.0,)) if short else ((500, 2000, 5000), (1.0, 1.25, 2.0))
    found = []
    for looks in (1, 20, 100):
        for pattern in ("bad", "mixed", "ratchet") if looks > 1 else ("bad",):
            found += [_plain(n, rate, looks, pattern) for n in sizes for rate in rates]
            found += [_sliced(5000, parts, looks, pattern) for parts in ((2, 20) if short else (2, 10, 20))]
            found += [_grouped(250, partial, looks, pattern) for partial in (False, True)]
            found += [] if short else [_grouped(1000, partial, looks, pattern) for partial in (False, True)]
    return found


def wrong_promotions(cell: Cell, *, lives: int, seed: int) -> dict[str, float]:
    """The share of lives with any wrong promotion, per gate, on the same draws."""
    return {gate: _live(cell, gate, lives, np.random.default_rng([seed, 17])) for gate in GATES}


def share_upper(share: float, lives: int, level: float = 0.01) -> float:
    """The Monte Carlo bound: exact, 99%."""
    return Binomial(round(share * lives), lives).upper(level)


def _live(cell: Cell, gate: str, lives: int, rng: np.random.Generator) -> float:
    plan = SpendingPolicy(alpha=ALPHA, planned_looks=cell.looks)
    promotions = np.zeros(lives, np.int64)
    wronged = np.zeros(lives, bool)
    for look in range(1, cell.looks + 1):
        bad = _badness(cell.pattern, promotions, rng)
        counts = cell.draw(rng, bad)
        passed = np.zeros(lives, bool)
        for earlier in np.unique(promotions) if gate == "detent" else [0]:
            here = promotions == earlier if gate == "detent" else np.ones(lives, bool)
            limit = _allowed(cell, gate, plan, look, int(earlier))
            passed[here] = (counts[here] <= limit).all(axis=1)
        wronged |= passed & bad
        promotions += passed
    return float(wronged.mean())


def _allowed(cell: Cell, gate: str, plan: SpendingPolicy, look: int, earlier: int) -> Counts:
    if gate == "point":
        return cell.point
    if gate == "detent":
        return cell.critical(look_level(plan, look, earlier))
    return cell.naive(ALPHA if gate == "uncorrected" else ALPHA / (cell.looks * len(cell.point)))


def _badness(pattern: str, promotions: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.bool_]:
    if pattern == "bad":
        return np.ones(len(promotions), bool)
    if pattern == "mixed":
        return rng.random(len(promotions)) < 0.5
    return promotions > 0


def _plain(n: int, ratio: float, looks: int, pattern: str) -> Cell:
    """One limit of 1% on independent samples; bad candidates have `ratio` times that."""
    limit = 0.01

    def draw(rng: np.random.Generator, bad: NDArray[np.bool_]) -> Counts:
        return rng.binomial(n, np.where(bad, ratio * limit, 0.3 * limit))[:, None]

    critical = _cached(lambda level: np.array([most_flips(n, limit, level)]))
    return Cell(
        name=f"n {n}, rate {ratio} x limit",
        structure="one limit",
        looks=looks,
        pattern=pattern,
        draw=draw,
        critical=critical,
        naive=critical,
        point=np.array([int(n * limit)]),
        exact=_exact(critical, looks, n, ratio * limit) if pattern == "bad" else None,
    )


def _exact(critical: Critical, looks: int, n: int, rate: float) -> float:
    """Where every candidate is bad and independent the share is (with slices: at most) a product of exact sums."""
    plan = SpendingPolicy(alpha=ALPHA, planned_looks=looks)
    kept = 1.0
    for look in range(1, looks + 1):
        most = int(critical(look_level(plan, look, 0))[0])
        kept *= 1.0 - (float(special.bdtr(most, n, rate)) if most >= 0 else 0.0)
    return 1.0 - kept


def _sliced(n: int, parts: int, looks: int, pattern: str) -> Cell:
    """`parts` equal slices with a limit of 5%; bad candidates break one of them exactly at its limit."""
    size, limit = n // parts, 0.05

    def draw(rng: np.random.Generator, bad: NDArray[np.bool_]) -> Counts:
        counts = rng.binomial(size, 0.001, (len(bad), parts))
        counts[:, 0] = rng.binomial(size, np.where(bad, limit, 0.001))
        return counts

    critical = _cached(lambda level: np.full(parts, most_flips(size, limit, level)))
    return Cell(
        name=f"{parts} slices of {size}",
        structure="slices",
        looks=looks,
        pattern=pattern,
        draw=draw,
        critical=critical,
        naive=critical,
        point=np.full(parts, int(size * limit)),
        exact=_exact(critical, looks, size, limit) if pattern == "bad" else None,
    )


def _grouped(groups: int, partial: bool, looks: int, pattern: str) -> Cell:
    """Groups of 20 that flip together (or by halves), at exactly 1% in all; the peers count 20 samples each."""
    limit, size = 0.01, 20
    unit = 0.5 if partial else 1.0  # a flipped group loses all its samples, or half of them

    def draw(rng: np.random.Generator, bad: NDArray[np.bool_]) -> Counts:
        return rng.binomial(groups, np.where(bad, limit / unit, 0.1 * limit))[:, None]

    def critical(level: float) -> Counts:
        most = -1
        while GroupMeans(np.r_[np.full(most + 1, unit), np.zeros(groups - most - 1)]).p_below(limit) <= level:
            most += 1
        return np.array([most])

    def naive(level: float) -> Counts:
        return np.array([np.floor(most_flips(groups * size, limit, level) / (size * unit))])

    cached = _cached(critical)
    return Cell(
        name=f"{groups} groups of 20{', half flip' if partial else ''}",
        structure="groups",
        looks=looks,
        pattern=pattern,
        draw=draw,
        critical=cached,
        naive=_cached(naive),
        point=np.array([int(groups * limit / unit)]),
        exact=_exact(cached, looks, groups, limit / unit) if pattern == "bad" else None,
    )


def ungrouped_error(groups: int = 250, size: int = 20) -> float:
    """Exact: how often the bound for independent samples passes groups that flip together at the limit."""
    most = most_flips(groups * size, 0.01, ALPHA)
    return float(stats.binom.cdf(most // size, groups, 0.01))


def adaptive_analysts(*, lives: int, seed: int, looks: int = 20, n: int = 2000) -> dict[str, float]:
    """Analysts who learn from what they are shown; every candidate's true rate is 1.1 times the limit of 1%."""
    rng = np.random.default_rng([seed, 23])
    rate, plan = 0.011, SpendingPolicy(alpha=ALPHA, planned_looks=looks)
    sealed = [most_flips(n, 0.01, look_level(plan, look, 0)) for look in range(1, looks + 1)]
    charged = most_flips(n, 0.01, ALPHA / looks)
    own = rng.binomial(n, rate, lives)
    redrawn = np.column_stack([own - rng.binomial(own, 0.1) + rng.binomial(n, 0.1 * rate, lives) for _ in range(looks)])
    many = rng.binomial(n, rate, (lives, looks))
    return {
        "fits the flips shown, open without burning": float((_fitted(own, n, rate, rng) <= charged).mean()),
        "fits the flips shown, sealed": float((own <= max(sealed)).mean()),
        "keeps what lowers the rate shown, open without burning": float(
            (_climb(own, n, rate, looks, rng) <= charged).mean()
        ),
        "resubmits tweaks after every no, sealed": float((redrawn <= np.array(sealed)).any(axis=1).mean()),
        "best of many on certify, bound uncorrected": float((many.min(axis=1) <= most_flips(n, 0.01, ALPHA)).mean()),
        "best of many, sealed": float((many <= np.array(sealed)).any(axis=1).mean()),
    }


def _fitted(own: Counts, n: int, rate: float, rng: np.random.Generator) -> Counts:
    """The next candidate memorises the samples it was shown as broken; what else it breaks is new."""
    return rng.binomial(n, rate * 0.05, len(own))


def _climb(own: Counts, n: int, rate: float, looks: int, rng: np.random.Generator) -> Counts:
    """Redraw a tenth of the flips, keep the tweak when the count shown went down; the true rate never moves."""
    best = own.copy()
    for _ in range(looks - 1):
        best = np.minimum(best, best - rng.binomial(best, 0.1) + rng.binomial(n, 0.1 * rate, len(best)))
    return best


def _cached(critical: Critical) -> Critical:
    known: dict[float, Counts] = {}

    def lookup(level: float) -> Counts:
        if level not in known:
            known[level] = critical(level)
        return known[level]

    return lookup

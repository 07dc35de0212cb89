"""Simulated lives of a certify split: how often any candidate whose true rate breaks a limit is promoted.

A life is a sequence of looks. Flips are drawn from the candidates' true rates, gates see counts, and the gate's own
tests and levels come from the components, so that what is simulated is what decides. A draw is told as p-values: a
gate promotes where the largest of its claims' is at most its level.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from components.selection.gate.bounds import Binomial, GroupMeans, most_flips
from components.selection.gate.policy import SpendingPolicy
from tests.benchmarks.certification import histories, shipped

ALPHA = 0.05
GATES = ("detent", "point", "uncorrected", "bonferroni")
Bad = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What one look would show, a life: the gate's p-value, that of a bound blind to groups, the point estimate's."""

    p: Floats
    naive: Floats
    point: Bad


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One setting; `draw(rng, bad)` says what a look shows of candidates that break a limit, or do not."""

    name: str
    structure: str
    looks: int
    pattern: str  # bad: all break a limit; mixed: half; ratchet: good ones until one is promoted; bolder: one by one
    draw: Callable[[np.random.Generator, Bad], Drawn]
    num_tests: int = 1
    exact: Callable[[float], float] | None = None  # level -> chance that a bad candidate passes, or a bound on it
    bootstrap: bool = False  # the first look is the first model's and is promoted
    plan: SpendingPolicy | None = None


def cells(*, short: bool) -> list[Cell]:
    """All settings: sizes, true rates, slices, groups, searches of 1, 20 and 100, and the policy of params.yaml."""
    sizes, rates = ((500, 5000), (1.0,)) if short else ((500, 2000, 5000), (1.0, 1.25, 2.0))
    found = []
    for looks in (1, 20, 100):
        for pattern in ("bad", "mixed", "ratchet") if looks > 1 else ("bad",):
            found += [_plain(n, rate, looks, pattern) for n in sizes for rate in rates]
            found += [_sliced(5000, parts, looks, pattern) for parts in ((2, 20) if short else (2, 10, 20))]
            found += [_grouped(250, partial, looks, pattern) for partial in (False, True)]
            found += [] if short else [_grouped(1000, partial, looks, pattern) for partial in (False, True)]
    return [*found, *_shipped_cells(short=short)]


def wrong_promotions(cell: Cell, *, lives: int, seed: int) -> dict[str, float]:
    """The share of lives with any wrong promotion, per gate, on the same draws."""
    return {gate: _live(cell, gate, lives, np.random.default_rng([seed, 17])) for gate in GATES}


def certain(cell: Cell, share: float, lives: int) -> float:
    """What the gate's share is at most: an exact sum where every candidate is bad and independent, else its bound."""
    if cell.exact is None or cell.pattern != "bad" or cell.bootstrap:
        return share_upper(share, lives)
    kept, plan = 1.0, _plan(cell)
    for look in range(1, cell.looks + 1):
        kept *= 1.0 - cell.exact(histories.level(look, plan=plan))
    return 1.0 - kept


def share_upper(share: float, lives: int, level: float = 0.01) -> float:
    """The Monte Carlo bound: exact, 99%."""
    return Binomial(round(share * lives), lives).upper(level)


def _plan(cell: Cell) -> SpendingPolicy:
    return cell.plan or SpendingPolicy(alpha=ALPHA, planned_looks=cell.looks)


def _live(cell: Cell, gate: str, lives: int, rng: np.random.Generator) -> float:
    book = histories.Lives(_plan(cell), lives)
    promotions, wronged = np.zeros(lives, np.int64), np.zeros(lives, bool)
    for look in range(1, cell.looks + 1):
        if cell.bootstrap and look == 1:
            book.look(np.ones(lives, bool))
            continue
        bad = _badness(cell.pattern, promotions, rng)
        drawn = cell.draw(rng, bad)
        if gate == "detent":
            passed = drawn.p <= book.next_levels()
            book.look(passed)
        elif gate == "point":
            passed = drawn.point
        else:
            passed = drawn.naive <= (ALPHA if gate == "uncorrected" else ALPHA / (cell.looks * cell.num_tests))
        wronged |= passed & bad
        promotions += passed
    return float(wronged.mean())


def _badness(pattern: str, promotions: NDArray[np.int64], rng: np.random.Generator) -> Bad:
    if pattern == "bad":
        return np.ones(len(promotions), bool)
    if pattern == "mixed":
        return rng.random(len(promotions)) < 0.5
    return promotions > (2 if pattern == "bolder" else 0)


def _plain(n: int, ratio: float, looks: int, pattern: str) -> Cell:
    """One limit of 1% on independent samples; bad candidates have `ratio` times that."""
    limit = 0.01

    def draw(rng: np.random.Generator, bad: Bad) -> Drawn:
        counts = rng.binomial(n, np.where(bad, ratio * limit, 0.3 * limit))
        p = special.bdtr(counts, n, limit)
        return Drawn(p=p, naive=p, point=counts <= int(n * limit))

    return Cell(
        name=f"n {n}, rate {ratio} x limit",
        structure="one limit",
        looks=looks,
        pattern=pattern,
        draw=draw,
        exact=lambda level: _passed(n, limit, level, ratio * limit),
    )


def _passed(n: int, limit: float, level: float, rate: float) -> float:
    most = most_flips(n, limit, level)
    return float(special.bdtr(most, n, rate)) if most >= 0 else 0.0


def _sliced(n: int, parts: int, looks: int, pattern: str) -> Cell:
    """`parts` equal slices with a limit of 5%; bad candidates break one of them exactly at its limit."""
    size, limit = n // parts, 0.05

    def draw(rng: np.random.Generator, bad: Bad) -> Drawn:
        counts = rng.binomial(size, 0.001, (len(bad), parts))
        counts[:, 0] = rng.binomial(size, np.where(bad, limit, 0.001))
        p = special.bdtr(counts, size, limit).max(axis=1)
        return Drawn(p=p, naive=p, point=(counts <= int(size * limit)).all(axis=1))

    return Cell(
        name=f"{parts} slices of {size}",
        structure="slices",
        looks=looks,
        pattern=pattern,
        draw=draw,
        num_tests=parts,
        exact=lambda level: _passed(size, limit, level, limit),
    )


def _grouped(groups: int, partial: bool, looks: int, pattern: str) -> Cell:
    """Groups of 20 that flip together (or by halves), at exactly 1% in all; the peers count 20 samples each.

    The gate knows the groups, since tables carry them; the peers have no setting for them.
    """
    limit, size = 0.01, 20
    unit = 0.5 if partial else 1.0  # a flipped group loses all its samples, or half of them
    most = groups // 2
    bets = np.array([GroupMeans(np.r_[np.full(k, unit), np.zeros(groups - k)]).p_below(limit) for k in range(most + 1)])

    def draw(rng: np.random.Generator, bad: Bad) -> Drawn:
        counts = np.minimum(rng.binomial(groups, np.where(bad, limit / unit, 0.1 * limit)), most)
        members = rng.binomial(counts, unit)  # the one drawn of each group
        either = np.minimum(1.0, 2.0 * np.minimum(bets[counts], special.bdtr(members, groups, limit)))
        seen = np.round(counts * size * unit)
        return Drawn(
            p=either, naive=special.bdtr(seen, groups * size, limit), point=counts <= int(groups * limit / unit)
        )

    return Cell(
        name=f"{groups} groups of 20{', half flip' if partial else ''}",
        structure="groups",
        looks=looks,
        pattern=pattern,
        draw=draw,
    )


def _shipped_cells(*, short: bool) -> list[Cell]:
    """The whole policy of params.yaml, 21 looks of which the first is the bootstrap; bad candidates at one limit."""
    limit, part = shipped.policy().limit, shipped.policy().slices.limit
    margin = shipped.policy().improvement.margin
    one = np.full(shipped.NUM_CLASSES, 0.003)
    one[0] = part
    bad = {
        "flips at the limit, 20 classes": shipped.uniform(limit),
        "one class at its limit": shipped.Rates(flips=one, gains=0.01),
        "accuracy lost at the margin": shipped.uniform(0.03, 0.03 - margin),
        "accuracy lost at the margin, few flips": shipped.uniform(margin + 0.002, 0.002),
    }
    zipf = shipped.sizes(zipf=True)
    base = Cell(
        name="", structure="params.yaml", looks=21, pattern="bad", draw=_draw_shipped(bad[next(iter(bad))]),
        num_tests=22, bootstrap=True, plan=shipped.policy().spending,
    )  # fmt: skip
    found = []
    for name, rates in bad.items():
        for pattern in ("bad", "ratchet") if short else ("bad", "mixed", "ratchet", "bolder"):
            found.append(replace(base, name=name, pattern=pattern, draw=_draw_shipped(rates)))
    found.append(
        replace(base, name="flips at the limit, Zipf classes", draw=_draw_shipped(shipped.uniform(limit), zipf))
    )
    return found


def _draw_shipped(
    rates: shipped.Rates, per_class: NDArray[np.int64] | None = None
) -> Callable[[np.random.Generator, Bad], Drawn]:
    """Bad candidates have the rates, good ones 0.4% flips and as many gains; the peers test flips and accuracy too."""
    sizes = shipped.sizes() if per_class is None else per_class

    def draw(rng: np.random.Generator, bad: Bad) -> Drawn:
        p, naive, point = np.ones(len(bad)), np.ones(len(bad)), np.zeros(len(bad), bool)
        for chosen, these in ((bad, rates), (~bad, shipped.uniform(0.004))):
            if chosen.any():
                drawn = shipped.draw(these, sizes, int(chosen.sum()), rng)
                p[chosen], naive[chosen], point[chosen] = drawn.p_values(), drawn.naive(), drawn.point()
        return Drawn(p=p, naive=naive, point=point)

    return draw


def ungrouped_error(groups: int = 250, size: int = 20) -> float:
    """Exact: how often the bound for independent samples passes groups that flip together at the limit."""
    most = most_flips(groups * size, 0.01, ALPHA)
    return float(stats.binom.cdf(most // size, groups, 0.01))

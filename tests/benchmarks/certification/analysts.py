"""Analysts who learn from what they are shown: reports that show all of certify, and sealed looks of one bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.selection.gate.bounds import most_flips
from components.selection.gate.policy import SpendingPolicy
from tests.benchmarks.certification import histories
from tests.benchmarks.certification.lifetimes import ALPHA

Counts = NDArray[np.int64]


def wronged(*, lives: int, seed: int, looks: int = 20, n: int = 2000) -> dict[str, float]:
    """The share of lives let through; every candidate's true rate is 1.1 times the limit of 1%."""
    rng = np.random.default_rng([seed, 23])
    rate, plan = 0.011, SpendingPolicy(alpha=ALPHA, planned_looks=looks)
    sealed = np.array([most_flips(n, 0.01, histories.level(look, plan=plan)) for look in range(1, looks + 1)])
    charged = most_flips(n, 0.01, ALPHA / looks)
    own = rng.binomial(n, rate, lives)
    redrawn = np.column_stack([own - rng.binomial(own, 0.1) + rng.binomial(n, 0.1 * rate, lives) for _ in range(looks)])
    many = rng.binomial(n, rate, (lives, looks))
    return {
        "fits the flips shown, open without burning": float((_fitted(own, n, rate, rng) <= charged).mean()),
        "fits the flips shown, sealed": float((own <= sealed.max()).mean()),
        "keeps what lowers the rate shown, open without burning": float(
            (_climb(own, n, rate, looks, rng) <= charged).mean()
        ),
        "resubmits tweaks after every no, sealed": float((redrawn <= sealed).any(axis=1).mean()),
        "best of many on certify, bound uncorrected": float((many.min(axis=1) <= most_flips(n, 0.01, ALPHA)).mean()),
        "best of many, sealed": float((many <= sealed).any(axis=1).mean()),
        "gets bolder after every yes and tamer after every no, sealed": _drifter(rng, lives, n),
        "remembers every bit, keeps tweaks of what was promoted, sealed": _ratchet(rng, lives, n),
    }


def _drifter(rng: np.random.Generator, lives: int, n: int) -> float:
    """The true rate of the next candidate goes up by a third after a yes, down by a tenth after a no."""
    book, rate, wrong = histories.Lives(SpendingPolicy(), lives), np.full(lives, 0.004), np.zeros(lives, bool)
    for _ in range(book.plan.planned_looks):
        passed = rng.binomial(n, rate) <= _most(n, book.next_levels())
        wrong |= passed & (rate >= 0.01)
        book.look(passed)
        rate = np.minimum(np.where(passed, rate * 4 / 3, rate * 0.9), 0.05)
    return float(wrong.mean())


def _ratchet(rng: np.random.Generator, lives: int, n: int) -> float:
    """Tweaks what was promoted so that it shares nine tenths of its flips on certify, with a rate at the limit."""
    book, wrong = histories.Lives(SpendingPolicy(), lives), np.zeros(lives, bool)
    base, promoted = rng.binomial(n, 0.003, lives), np.zeros(lives, bool)
    for _ in range(book.plan.planned_looks):
        tweaked = rng.binomial(base, 0.9) + rng.binomial(n, 0.01 - 0.9 * 0.003, lives)
        counts = np.where(promoted, tweaked, base)
        passed = counts <= _most(n, book.next_levels())
        wrong |= passed & promoted
        promoted |= passed
        book.look(passed)
    return float(wrong.mean())


def _most(n: int, levels: NDArray[np.float64]) -> Counts:
    distinct, where = np.unique(levels, return_inverse=True)
    return np.array([most_flips(n, 0.01, float(level)) for level in distinct])[where]


def _fitted(own: Counts, n: int, rate: float, rng: np.random.Generator) -> Counts:
    """The next candidate memorises the samples it was shown as broken; what else it breaks is new."""
    return rng.binomial(n, rate * 0.05, len(own))


def _climb(own: Counts, n: int, rate: float, looks: int, rng: np.random.Generator) -> Counts:
    """Redraw a tenth of the flips, keep the tweak when the count shown went down; the true rate never moves."""
    best = own.copy()
    for _ in range(looks - 1):
        best = np.minimum(best, best - rng.binomial(best, 0.1) + rng.binomial(n, 0.1 * rate, len(best)))
    return best

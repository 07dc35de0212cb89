"""Accuracy and flips of one model against another, and what several seeds say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from components.selection.gate.bounds import Binomial

Guesses = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a new model reached against the old one on the same images; `bound` is the exact 95% one on `flips`."""

    old_accuracy: float
    accuracy: float
    flips: float
    gains: float
    bound: float

    @property
    def relative(self) -> float:
        """NFR over (1 - err_old) * err_new: 1 is what independent errors would give (Yan et al. 2021)."""
        by_chance = self.old_accuracy * (1 - self.accuracy)
        return self.flips / by_chance if by_chance else math.nan


def rates(old: Guesses, new: Guesses, labels: Guesses) -> Rates:
    """The rates of classes [N] that two models chose."""
    was, now = old == labels, new == labels
    num = len(labels)
    lost = int((was & ~now).sum())
    return Rates(
        old_accuracy=float(was.mean()),
        accuracy=float(now.mean()),
        flips=lost / num,
        gains=float((~was & now).mean()),
        bound=Binomial(count=lost, n=num).upper(0.05),
    )


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half width of the 95% interval over seeds (Student); half width NaN for one seed."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return mean, math.nan
    half = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, half


def told(values: Sequence[float], *, percent: bool = True) -> str:
    """Mean and interval as text."""
    mean, half = interval(values)
    scale, sign = (100.0, "%") if percent else (1.0, "")
    around = f" ± {half * scale:.2f}" if math.isfinite(half) else ""
    return f"{mean * scale:.2f}{around}{sign}"


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's; NaN where one of them does not vary."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return math.nan
    return float(stats.spearmanr(first, second).statistic)

"""The policy of params.yaml as one p-value a life: a candidate is promoted where the largest of its claims' is small.

Counts are drawn, the tests are the components'. The exact test of accuracy has no p-value of its own; it is the
smallest level, to a hundredth of it, at which the loss is proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import special

from components.core.workspace import Workspace
from components.selection.gate import paired, unconditional
from components.selection.gate.policy import Policy
from components.workloads.registry import load_params

N, NUM_CLASSES = 1346, 20
ROOT = Path(__file__).resolve().parents[3]
_HOPELESS = 0.3  # a score this bad is not looked at closer
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@cache
def policy() -> Policy:
    """What params.yaml says."""
    return load_params(Workspace(root=ROOT, home=ROOT / ".detent")).selection.policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a candidate truly does: flips by class (one number a class), and gains of all samples."""

    flips: Floats
    gains: float


def uniform(flips: float, gains: float | None = None) -> Rates:
    """The same flips in every class, and as many gains if nothing else is said."""
    return Rates(flips=np.full(NUM_CLASSES, flips), gains=flips if gains is None else gains)


def sizes(n: int = N, *, zipf: bool = False, num_classes: int = NUM_CLASSES) -> Counts:
    """Photos a class: alike, or like 1/rank."""
    shares = 1.0 / np.arange(1, num_classes + 1) if zipf else np.ones(num_classes)
    found = np.floor(n * shares / shares.sum()).astype(np.int64)
    found[: n - found.sum()] += 1
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Flips by class, and gains, of many lives."""

    flips: Counts  # (lives, classes)
    gained: Counts
    per_class: Counts

    @property
    def n(self) -> int:
        """Photos in all."""
        return int(self.per_class.sum())

    def flip_p(self) -> Floats:
        """The largest p-value of flips overall and by class, a life; small classes are tested together."""
        chosen = policy()
        large = self.per_class >= chosen.slices.min_n
        worst = special.bdtr(self.flips.sum(axis=1), self.n, chosen.limit)
        parts = [(self.flips[:, large], self.per_class[large])]
        if self.per_class[~large].sum() >= chosen.slices.min_n:
            parts.append((self.flips[:, ~large].sum(axis=1)[:, None], self.per_class[~large].sum(keepdims=True)))
        for counts, size in parts:
            worst = np.maximum(worst, special.bdtr(counts, size, chosen.slices.limit).max(axis=1, initial=0.0))
        return np.asarray(worst, dtype=np.float64)

    def p_values(self) -> Floats:
        """The largest p-value of all claims, a life."""
        worst = self.flip_p()
        return np.maximum(worst, accuracy_p(self.gained, self.flips.sum(axis=1), self.n, unless=worst))

    def naive(self) -> Floats:
        """The same with the normal approximation for accuracy, as the peers have it."""
        score = unconditional.score(self.gained, self.flips.sum(axis=1), self.n, policy().improvement.margin)
        return np.maximum(self.flip_p(), special.ndtr(score))

    def point(self) -> NDArray[np.bool_]:
        """Whether the estimates alone are within all limits."""
        lost, chosen = self.flips.sum(axis=1), policy()
        by_class = (self.flips <= chosen.slices.limit * self.per_class).all(axis=1)
        return by_class & (lost <= chosen.limit * self.n) & (lost - self.gained <= chosen.improvement.margin * self.n)


def draw(rates: Rates, per_class: Counts, lives: int, rng: np.random.Generator) -> Counted:
    """What certify shows of candidates with these rates."""
    flips = rng.binomial(per_class, rates.flips[: len(per_class)], (lives, len(per_class)))
    n, lost = int(per_class.sum()), flips.sum(axis=1)
    gained = rng.binomial(n - lost, np.minimum(rates.gains / (1.0 - lost / n), 1.0))
    return Counted(flips=flips, gained=gained, per_class=per_class)


def accuracy_p(gained: Counts, lost: Counts, n: int, *, unless: Floats | None = None) -> Floats:
    """The smallest level at which the loss of accuracy is proven, a life; 1 where it or `unless` is hopeless."""
    margin = policy().improvement.margin
    score = special.ndtr(unconditional.score(gained, lost, n, margin))
    hopeless = score > _HOPELESS if unless is None else (score > _HOPELESS) | (unless > _HOPELESS)
    found = np.ones(len(gained))
    for index in np.flatnonzero(~hopeless):
        found[index] = _proven_at(int(gained[index]), int(lost[index]), n, margin)
    return found


@cache
def _proven_at(gained: int, lost: int, n: int, margin: float) -> float:
    low, high = -16.0, 0.0  # in powers of ten
    for _ in range(12):
        middle = (low + high) / 2
        proven = paired.loss_under(margin, gained, lost, n, 10.0**middle)
        low, high = (low, middle) if proven else (middle, high)
    return float(10.0**high)

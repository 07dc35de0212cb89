"""Whether "about N further samples, with 80% chance" comes true: HOLDs of params.yaml's policy, advised and followed.

Search holds half as many samples as certify. Every HOLD gets its advice; so many samples are added to certify, or so
many photos are labelled that a fifth of them lands there, and the next look is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.selection.gate import power
from components.selection.gate.checks import Findings, examine
from components.selection.gate.claims import Levels
from components.selection.gate.flips import Cells, Tally
from components.selection.gate.rates import IndependentSample
from tests.benchmarks.certification import histories, shipped
from tests.benchmarks.figures import SHORT, Figure

SEED, HOLDS, SHARE, ACCURACY = 0, 60 if SHORT else 400, 0.2, 0.9
Counts = NDArray[np.int64]


@dataclass(slots=True)
class Followed:
    """What became of the HOLDs of one setting."""

    promoted: int = 0
    promoted_by_photos: int = 0
    claimed: float = 0.0
    added: list[int] | None = None
    without: int = 0


def figures() -> Iterator[Figure]:
    """The reviewed setting, an easier one, and truths that differ from candidate to candidate."""
    for name, spread in (("2.5% flips, as accurate", None), ("0.5 to 4% flips, accuracy differs by 0.7% or so", 0.007)):
        found = follow(spread, look=2 if spread is None else 5)
        added = found.added or [0]
        claimed = found.claimed / len(added)
        for way, promoted in (("added to certify", found.promoted), ("photos labelled", found.promoted_by_photos)):
            value = promoted / len(added)
            enough = value >= claimed - 2.0 * np.sqrt(claimed * (1 - claimed) / len(added))
            yield Figure(
                name=f"HOLDs promoted after the advice was followed, {name}, {way}",
                value=value,
                goal=f"at least {claimed:.0%} as claimed",
                met=value >= claimed or (None if SHORT and enough else bool(enough)),
                seeds=[SEED],
                spread=f"{len(added)} HOLDs, {np.median(added):.0f} samples in the median, {found.without} unadvised",
            )


def follow(spread: float | None, *, look: int) -> Followed:
    """Draw candidates until enough of them were held; `spread` None: the reviewed setting."""
    rng, found = np.random.default_rng([SEED, 53]), Followed(added=[])
    levels = [histories.level(k, frozenset({1})) for k in (look, look + 1)]
    while len(found.added or []) < HOLDS:
        flips = 0.025 if spread is None else rng.uniform(0.005, 0.04)
        gains = flips if spread is None else max(0.0, flips + rng.normal(0.0, spread))
        search, certify = (_draw(rng, n, flips, gains) for n in (shipped.N // 2, shipped.N))
        shown = _examine(search, 0.05, "search")
        if shown.broken() or _passed(certify, levels[0]):
            continue
        asked = power.Asked(num=shipped.N, level=levels[0])
        sample = IndependentSample(_tally(search), shipped.policy())
        advice = power.advise(sample, shown, shipped.policy(), levels[1], asked=asked)
        if advice.further is None:
            found.without += 1
            continue
        landed = int(rng.binomial(round(advice.further / SHARE), SHARE))
        found.promoted += _passed(certify + _draw(rng, advice.further, flips, gains), levels[1])
        found.promoted_by_photos += _passed(certify + _draw(rng, landed, flips, gains), levels[1])
        found.claimed += advice.chance
        found.added = [*(found.added or []), advice.further]
    return found


def _draw(rng: np.random.Generator, n: int, flips: float, gains: float) -> Counts:
    """Counts of the nine states by class."""
    classes = rng.integers(0, shipped.NUM_CLASSES, n)
    right, chance = rng.random(n) < ACCURACY, rng.random(n)
    after = np.where(right, chance >= flips / ACCURACY, chance < gains / (1.0 - ACCURACY))
    states = np.where(right, 7, 4) + after
    return np.bincount(classes * 9 + states, minlength=shipped.NUM_CLASSES * 9).reshape(-1, 9)


def _tally(counts: Counts) -> Tally:
    names = tuple(f"{index:02d}" for index in range(len(counts)))
    return Tally(counts.sum(axis=0), {"s_class": Cells(names, counts)})


def _examine(counts: Counts, level: float, split: str) -> Findings:
    return examine(_tally(counts), shipped.policy(), Levels(split=split, hold=level, broken=0.05))


def _passed(counts: Counts, level: float) -> bool:
    return _examine(counts, level, "certify").passed(shipped.policy())

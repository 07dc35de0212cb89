"""The frontier of accuracy against negative flips: which candidates no other beats on both, and how much they cover."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from components.core.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a model reached on the search split: accuracy (more is better), negative-flip rate (less is better)."""

    accuracy: float
    flips: float


def pareto_front(outcomes: Sequence[Outcome]) -> list[int]:
    """The indices of outcomes that no other beats, from fewest flips to most; of equal ones the first.

    One outcome beats another when it is at least as good in both and better in one.
    """
    order = sorted(range(len(outcomes)), key=lambda i: (outcomes[i].flips, -outcomes[i].accuracy, i))
    front: list[int] = []
    for index in order:
        if not front or outcomes[index].accuracy > outcomes[front[-1]].accuracy:
            front.append(index)
    return front


def hypervolume(outcomes: Sequence[Outcome], *, reference: Outcome) -> float:
    """The exact area between the frontier and `reference`, the corner that is worst in both (Zitzler, Thiele 1999).

    Outcomes that are no better than the reference in both add nothing. DataError on NaN.
    """
    numbers = [value for outcome in (*outcomes, reference) for value in (outcome.accuracy, outcome.flips)]
    if any(math.isnan(value) for value in numbers):
        raise DataError("an outcome holds NaN, so no frontier can be drawn; a model that gives NaN must be left out")
    inside = [point for point in outcomes if point.accuracy > reference.accuracy and point.flips < reference.flips]
    steps = [inside[index] for index in pareto_front(inside)]
    ends = [step.flips for step in steps[1:]] + [reference.flips]
    return sum(
        (end - step.flips) * (step.accuracy - reference.accuracy)
        for step, end in zip(steps, ends[: len(steps)], strict=True)
    )

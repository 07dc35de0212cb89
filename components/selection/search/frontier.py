"""The frontier of accuracy against negative flips: which candidates no other beats on both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


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

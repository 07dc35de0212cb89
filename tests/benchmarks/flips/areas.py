"""How much of accuracy against negative flips a frontier covers: the number by which ways to search are compared."""

import math
from collections.abc import Sequence

from components.core.errors import DataError
from components.selection.search.frontier import Outcome, pareto_front


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

"""How heavy the negative flips are: weights by true class or by confusion, reported, and limited where asked.

A negative flip's true class is what the champion answered, since it was right. Weights are scaled into [0, 1]
and their mean is bounded by the betting bound, so a limit on the weighted rate holds at any size.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from components.core.decisions import Check, Severity
from components.core.errors import DataError
from components.core.verdicts import ABSTAINED
from components.selection.gate import flips
from components.selection.gate.bounds import GroupMeans, Rate
from components.selection.gate.flips import Rows
from components.selection.gate.policy import Policy
from components.selection.gate.rates import GroupedSample

_NUM_HEAVIEST = 10


def need_predictions(rows: Rows, policy: Policy, *, name: str) -> None:
    """Refuse weights where the tables do not say what the models answered: every flip would weigh 1."""
    if not policy.severity.weights:
        return
    for table, side in ((rows.old_table, "old"), (rows.new_table, "new")):
        missing = int((table["prediction"].is_null().to_numpy() & (table["verdict"].to_numpy() != ABSTAINED)).sum())
        if missing:
            raise DataError(
                f"{name}: {missing} of {len(rows)} answers of the {side} model have no 'prediction', but "
                "selection.policy.severity.weights weighs flips by it; add the column, or leave out the weights"
            )


def report(rows: Rows, policy: Policy) -> Severity:
    """The weighted rate of negative flips and the ten heaviest confusions: name, count, summed weight."""
    need_predictions(rows, policy, name="verdict tables")
    counts = Counter(_confusions(rows, policy))
    weighed = [(name, count, count * _weight(name, policy)) for name, count in counts.items()]
    heaviest = sorted(weighed, key=lambda row: (-row[2], row[0]))[:_NUM_HEAVIEST]
    return Severity(weighted_rate=sum(row[2] for row in weighed) / len(rows), heaviest=tuple(heaviest))


def check(rows: Rows, policy: Policy, *, hold: float, broken: float, split: str) -> list[Check]:
    """The check of the weighted rate against its limit; none when the policy sets no limit."""
    limit = policy.severity.limit
    if limit is None:
        return []
    need_predictions(rows, policy, name=split)
    most = max([1.0, *policy.severity.weights.values()])
    rate = _weighted_rate(rows, policy, most)
    holds = limit >= most or rate.p_below(limit / most) <= hold
    is_broken = limit < most and rate.p_above(limit / most) <= broken
    return [
        Check(
            name="weighted flips",
            split=split,
            result="holds" if holds else "broken" if is_broken else "undecided",
            limit=limit,
            count=len(_confusions(rows, policy)),
            n=len(rows),
            rate=rate.point * most,
            lower=rate.lower(broken) * most,
            upper=rate.upper(hold) * most,
        )
    ]


def _weighted_rate(rows: Rows, policy: Policy, most: float) -> Rate:
    weights: NDArray[np.float64] = np.zeros(len(rows))
    weights[_negative(rows, policy)] = [_weight(name, policy) / most for name in _confusions(rows, policy)]
    if rows.groups is None:
        return GroupMeans(weights)
    return GroupedSample(rows, flips.tally(rows, []), policy, rows.groups).weighted_rate(weights)


def _negative(rows: Rows, policy: Policy) -> NDArray[np.intp]:
    return np.flatnonzero(rows.negative(abstained_is_wrong=policy.abstentions.rule == "wrong"))


def _confusions(rows: Rows, policy: Policy) -> list[str]:
    where = _negative(rows, policy)
    old, new = rows.old_table["prediction"].take(where), rows.new_table["prediction"].take(where)
    abstained = rows.new[where] == -1
    pairs = zip(old.to_pylist(), new.to_pylist(), abstained.tolist(), strict=True)
    return [f"{before}>{'(abstained)' if gave_up else after}" for before, after, gave_up in pairs]


def _weight(confusion: str, policy: Policy) -> float:
    weights = policy.severity.weights
    return weights.get(confusion, weights.get(confusion.split(">", 1)[0], 1.0))

"""How many labelled samples would decide: the power calculation behind HOLD and behind "draw a fresh split".

Planning figures, not guarantees; what they claim is checked by the benchmark. None means that no number would do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from components.selection.gate.bounds import Rate
from components.selection.gate.checks import Findings
from components.selection.gate.planning import Accuracy, SplitPlan, fixed, rate_plan
from components.selection.gate.policy import Policy
from components.selection.gate.rates import Sample, effective, effective_margin

_MOST_PLANNED = 1 << 24
_EASY = 0.25  # of the limit: the true flips of the good candidate that a fresh split is planned for


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """That a certify split of `num` samples, asked at `level`, said no."""

    num: int
    level: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """How many certify samples to add, and the chance of a promotion then; None: none that is worth it."""

    further: int | None
    chance: float


def advise(sample: Sample, findings: Findings, policy: Policy, level: float, *, asked: Asked | None = None) -> Advice:
    """What to add to a certify split that said no, so that its next look at `level` promotes this candidate.

    Aims at `policy.min_power`, or at nine tenths of the best chance that any number reaches where that is less: what is
    shown may leave doubt that more samples of another kind cannot take away. None where that is under one half.
    """
    plan = SplitPlan.of(sample, findings, policy)
    start = asked.num if asked is not None else 0

    def chance(further: int) -> float:
        return plan.passes(start + further, level, (asked.num, asked.level) if asked is not None else None)

    if level <= 0.0:
        return Advice(further=None, chance=0.0)
    best = _best(chance)
    aim = min(policy.min_power, 0.9 * best)
    if aim < 0.5:
        return Advice(further=None, chance=best)
    further = _fewest(lambda more: chance(more) >= aim)
    return Advice(further=further, chance=aim)


def split_size(sample: Sample, findings: Findings, policy: Policy, level: float) -> int | None:
    """The size of a fresh certify split on which a candidate like the one shown is promoted with `min_power`.

    None where that is not within nine tenths of what any number reaches: what is shown leaves too much doubt.
    """
    plan = SplitPlan.of(sample, findings, policy)
    if level <= 0.0 or 0.9 * _best(lambda n: plan.passes(n, level)) < policy.min_power:
        return None
    return _fewest(lambda n: plan.passes(n, level) >= policy.min_power)


def bootstrap_size(rate: Rate, policy: Policy, level: float) -> int | None:
    """The same for a first model, whose rate of errors has to be proven low enough."""
    plan = rate_plan(rate, effective(1.0 - policy.bootstrap_accuracy, policy))
    return _fewest(lambda n: plan.passes(n, level) >= policy.min_power) if level > 0.0 and rate.n else None


def fresh_size(policy: Policy, level: float) -> int | None:
    """The certify samples on which a candidate with flips of a quarter of the limit, and as accurate, passes.

    With chance `policy.min_power` at `level`; overall claims only, since a policy does not know the slices' sizes.
    """
    if level <= 0.0:
        return None
    limit = effective(policy.limit, policy)
    lost, gained = (fixed(_EASY * policy.limit, limit, stream=stream) for stream in (0, 1))
    accuracy = None
    if policy.improvement.rule == "non-inferior":
        accuracy = Accuracy(margin=effective_margin(policy), lost=lost, gained=gained)
    plan = SplitPlan(claims=(lost,), accuracy=accuracy)
    return _fewest(lambda n: plan.passes(n, level) >= policy.min_power)


def critical_size(limit: float, level: float) -> int | None:
    """The fewest photos of a slice with which not one flip proves the limit."""
    return math.ceil(math.log(level) / math.log1p(-limit) - 1e-9) if 0.0 < level < 1.0 else None


def _best(chance: Callable[[int], float]) -> float:
    """The best chance of any number; more is not always better, since more slices are large enough to be tested."""
    return max(chance(2**power) for power in range(_MOST_PLANNED.bit_length()))


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """About the smallest number that is enough; None when not even the most planned for is."""
    high = 1
    while not enough(high):
        high *= 2
        if high > _MOST_PLANNED:
            return None
    low = high // 2
    while high - low > 1 + high // 500:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high

"""One claim put to the test: a rate, a limit, and the levels at which either side of it counts as proven."""

from __future__ import annotations

from dataclasses import dataclass

from components.core.decisions import Check, CheckResult
from components.selection.gate.bounds import Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """On which split a claim is tested, at which level it is proven, and at which one its opposite is."""

    split: str
    hold: float
    broken: float


def rate_check(name: str, rate: Rate, limit: float, levels: Levels, *, count: int, noise: float = 0.0) -> Check:
    """Test one rate against its limit, with both bounds for people to read.

    `noise` is the share of labels that may be wrong: what holds must hold under the limit less that share of it.
    """
    return Check(
        name=name,
        split=levels.split,
        result=result_of(rate, limit, levels, noise=noise),
        limit=limit,
        count=count,
        n=rate.n,
        rate=rate.point,
        lower=rate.lower(levels.broken),
        upper=rate.upper(levels.hold),
    )


def result_of(rate: Rate, limit: float, levels: Levels, *, noise: float = 0.0) -> CheckResult:
    """Proven under the limit, proven over it, or neither."""
    if rate.p_below(limit * (1.0 - noise)) <= levels.hold:
        return "holds"
    return "broken" if rate.p_above(limit) <= levels.broken else "undecided"

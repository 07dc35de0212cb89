"""How many labelled samples would decide: the power calculation behind HOLD and behind "draw a fresh split".

Planning figures, not guarantees: rates are taken from the split that is shown, smoothed by half a flip, and
each claim is planned for by itself. None means that no number would do, the rate seen being at its limit.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from components.selection import flips
from components.selection.bounds import Binomial, GroupMeans, Rate, most_flips
from components.selection.checks import Findings
from components.selection.flips import Tally
from components.selection.policy import Policy
from components.selection.samples import Sample
from components.selection.slicing import POOLED

_MOST = 1 << 32


def samples_needed(rate: float, limit: float, level: float, power: float) -> int | None:
    """The smallest n (about) at which a true `rate` proves itself under `limit` with chance `power`."""
    if rate >= limit or level <= 0.0:
        return None

    def enough(n: int) -> bool:
        most = most_flips(n, limit, level)
        return most >= 0 and float(special.bdtr(most, n, rate)) >= power

    high = 1
    while not enough(high):
        high *= 2
        if high > _MOST:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def split_size(sample: Sample, findings: Findings, policy: Policy, level: float) -> int | None:
    """The size of a certify split (about) on which a candidate with the rates shown would be promoted."""
    n = int(sample.tally.total.sum())
    rates: list[tuple[Rate, float]] = [(sample.flip_rate(), policy.limit)]
    for row in findings.slices:
        if row.result != "too small" and row.value != POOLED:
            index = sample.tally.columns[row.column].values.index(row.value)
            rates.append((sample.slice_rate(row.column, np.array([index])), row.limit))
    rates += [
        (Binomial(round((check.rate or 0.0) * check.n), check.n), check.limit or 0.0)
        for check in findings.checks
        if check.name in ("flips against the anchor", "abstentions") and check.n
    ]
    times = [_times_as_many(rate, limit, level, policy.min_power) for rate, limit in rates]
    sizes = [None if more is None else math.ceil(more * n) for more in times]
    sizes.append(_needed_for_improvement(sample.tally, policy, level))
    return None if any(size is None for size in sizes) else max(size or 0 for size in sizes)


def bootstrap_size(rate: Rate, policy: Policy, level: float) -> int | None:
    """The same for a first model, whose rate of errors has to be proven low enough."""
    more = _times_as_many(rate, 1.0 - policy.bootstrap_accuracy, level, policy.min_power)
    return None if more is None else math.ceil(more * rate.n)


def _times_as_many(rate: Rate, limit: float, level: float, power: float) -> float | None:
    """How many times the sample shown a split must be to prove this rate under its limit."""
    if not rate.n:
        return None
    if isinstance(rate, GroupMeans):
        return rate.copies_to_prove(limit, level)
    needed = samples_needed((rate.point * rate.n + 0.5) / (rate.n + 1), limit, level, power)
    return None if needed is None else needed / rate.n


def _needed_for_improvement(tally: Tally, policy: Policy, level: float) -> int | None:
    """The usual normal approximation for paired shares."""
    if policy.improvement.rule == "none":
        return 0
    gained, lost, _ = flips.discordant(tally.total)
    n = int(tally.total.sum())
    discordant = (gained + lost + 0.5) / (n + 1)
    gain = (gained - lost) / n + (policy.improvement.margin if policy.improvement.rule == "non-inferior" else 0.0)
    if gain <= 0.0 or level <= 0.0:
        return None
    z_level, z_power = -float(special.ndtri(level)), float(special.ndtri(policy.min_power))
    spread = z_level * math.sqrt(discordant) + z_power * math.sqrt(max(discordant - gain * gain, 0.0))
    return math.ceil((spread / gain) ** 2)

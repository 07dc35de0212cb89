"""Puts every claim of the policy to the test on one comparison, and says what holds, what is broken, what is open.

To promote is to claim that every limit holds, so each claim is tested at the full level (intersection-union:
the chance that all pass while one is false is at most that level). What is proven broken stands in the way whatever
its size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from components.core.decisions import Check, SliceCheck
from components.core.errors import DataError
from components.selection.gate import flips, severities
from components.selection.gate.claims import Levels, rate_check
from components.selection.gate.flips import Cells, Rows, Tally
from components.selection.gate.groups import group_column
from components.selection.gate.policy import Policy
from components.selection.gate.rates import GroupedSample, IndependentSample, Sample, counts_under, effective_margin
from components.selection.gate.slicing import examine_slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The checks of one comparison, overall and by slice."""

    checks: tuple[Check, ...]
    slices: tuple[SliceCheck, ...] = ()

    def passed(self, policy: Policy) -> bool:
        """Whether every claim holds; slices too small are let through only where the policy pools them."""
        return all(check.result == "holds" for check in self.checks) and not self.open_slices(policy)

    def open_slices(self, policy: Policy) -> list[SliceCheck]:
        """The slices that stand in the way of a promotion."""
        tolerated = {"holds", "too small"} if policy.slices.too_small == "pool" else {"holds"}
        return [row for row in self.slices if row.result not in tolerated]

    def broken(self) -> list[str]:
        """The claims that are proven broken, in words; they reject."""
        slices = [f"slice {row.column} = {row.value}" for row in self.slices if row.result == "broken" and row.alone]
        return [check.name for check in self.checks if check.result == "broken"] + slices

    def lost(self) -> list[SliceCheck]:
        """The slices too small for a claim of their own that are proven broken all the same; they hold."""
        return [row for row in self.slices if row.result == "broken" and not row.alone]


def sample_of(tally: Tally, policy: Policy, rows: Rows | None) -> Sample:
    """The comparison as rates: by group where the rows have groups, else by sample."""
    if rows is not None and rows.groups is not None:
        return GroupedSample(rows, tally, policy, rows.groups)
    return IndependentSample(tally, policy)


def columns_of(rows: Rows, policy: Policy) -> list[str]:
    """The slice columns to test: those declared and those with critical values, else all but the group column."""
    if policy.slices.columns is not None:
        return list(dict.fromkeys([*policy.slices.columns, *policy.slices.critical]))
    strange = sorted(policy.slices.critical.keys() - rows.slices.keys())
    if strange:
        raise DataError(f"critical slices of {strange}: the verdict tables have only {sorted(rows.slices)}")
    return [column for column in rows.slices if column != group_column(policy)]


def examine_rows(
    rows: Rows, policy: Policy, levels: Levels, *, expected: dict[str, set[str]] | None = None
) -> Findings:
    """Test all claims of the policy that concern champion and candidate; `expected` values count as slices."""
    tally = flips.tally(rows, columns_of(rows, policy), policy.slices.pairs)
    findings = examine(with_expected(tally, expected or {}), policy, levels, rows=rows)
    weighted = severities.check(rows, policy, hold=levels.hold, broken=levels.broken, split=levels.split)
    return Findings(checks=(*findings.checks, *weighted), slices=findings.slices)


def examine(tally: Tally, policy: Policy, levels: Levels, *, rows: Rows | None = None) -> Findings:
    """Test overall flips, every slice, improvement and abstentions, from counts alone where nothing is grouped."""
    sample = sample_of(tally, policy, rows)
    counts = counts_under(tally.total, policy)
    noise = policy.label_noise
    checks = [
        rate_check("negative flips", sample.flip_rate(), policy.limit, levels, count=counts.negative_flips, noise=noise)
    ]
    if policy.improvement.rule != "none":
        checks.append(_improvement(sample, policy, levels))
    if policy.abstentions.rule == "separate":
        rate = sample.abstention_rate()
        limit = policy.abstentions.limit
        checks.append(rate_check("abstentions", rate, limit, levels, count=counts.new_abstained))
    return Findings(checks=tuple(checks), slices=examine_slices(sample, policy, levels))


def examine_anchor(rows: Rows, policy: Policy, levels: Levels) -> Check:
    """Test the cumulative flips against the pinned anchor champion."""
    if policy.anchor_limit is None:
        raise ValueError("the policy has no anchor limit")
    tally = flips.tally(rows, [])
    rate = sample_of(tally, policy, rows).flip_rate()
    count = counts_under(tally.total, policy).negative_flips
    limit, noise = policy.anchor_limit, policy.label_noise
    return rate_check("flips against the anchor", rate, limit, levels, count=count, noise=noise)


def with_expected(tally: Tally, expected: dict[str, set[str]]) -> Tally:
    """Add values that ought to be there and hold no sample, so that an empty slice is seen to be empty."""
    columns = dict(tally.columns)
    for name, values in expected.items():
        cells = columns.get(name)
        missing = sorted(values - set(cells.values)) if cells is not None else []
        if cells is not None and missing:
            zeros = np.zeros((len(missing), flips.NUM_STATES), np.int64)
            columns[name] = Cells((*cells.values, *missing), np.vstack([cells.counts, zeros]))
    return Tally(tally.total, columns)


def _improvement(sample: Sample, policy: Policy, levels: Levels) -> Check:
    rule, margin = policy.improvement.rule, policy.improvement.margin
    gained, lost, _ = flips.discordant(sample.tally.total)
    n = int(sample.tally.total.sum())
    lower, upper = sample.loss_lower(levels.broken), sample.loss_upper(levels.hold)
    if rule == "improve":
        holds, broken = sample.improvement_p() <= levels.hold, sample.worsening_p() <= levels.broken
    else:
        holds, broken = sample.loss_under(effective_margin(policy), levels.hold), lower > margin
    return Check(
        name="accuracy lost",
        split=levels.split,
        result="holds" if holds else "broken" if broken else "undecided",
        limit=0.0 if rule == "improve" else margin,
        count=lost - gained,
        n=n,
        rate=(lost - gained) / n,
        lower=lower,
        upper=upper,
        reason="old minus new; must be proven under 0 (exact McNemar)" if rule == "improve" else "old minus new",
    )

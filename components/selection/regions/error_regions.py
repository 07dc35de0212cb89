"""Names the factor regions and classes that hold more than their part of the errors, with honest significance.

A region is found on one half of the samples and tested on the other, so no region is ever named on the data that
suggested it. The test is Fisher's exact one, one-sided: errors inside against errors in the rest. Holm's correction
over all regions that are tested (Holm 1979) keeps the chance that any region is named where errors depend on nothing
at `alpha` at most, at every sample size. A region is named only if it also beats what lies beside it in each wider
one (without one of its conditions, or a named region around it), so that a chance refinement is not told as a
finding. Samples of one group (photos of one object) stay in one half, and the test takes one of each group, since
Fisher's test wants them independent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.selection.regions.region_tree import ErrorTable, Region, fisher_p, propose_regions

MIN_OF_EACH = 20  # errors, and samples without one; with fewer the half that tests proves nothing
_INSIDE = 0.9  # of a region's samples lie in another: it is a part of it
_POWER, _MOST_LIFT = 0.8, 50.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionTest:
    """One region on the half that tests: errors of n inside, and in the rest; `p` before and after Holm.

    `no_worse_than` is the wider region that explains it as well, where there is one.
    """

    region: Region
    n: int
    errors: int
    rest_n: int
    rest_errors: int
    p: float
    p_holm: float
    named: bool
    no_worse_than: Region | None = None

    @property
    def rate(self) -> float:
        """The share of errors inside; 0 where nothing lies inside."""
        return self.errors / self.n if self.n else 0.0

    @property
    def rest_rate(self) -> float:
        """The share of errors in the rest."""
        return self.rest_errors / self.rest_n if self.rest_n else 0.0

    @property
    def lift(self) -> float | None:
        """How many times the rest's rate; None where the rest has no errors."""
        return self.rate / self.rest_rate if self.rest_errors else None

    @property
    def excess(self) -> float:
        """How many errors inside would not be there at the rest's rate, at least 0."""
        return max(0.0, self.errors - self.n * self.rest_rate)

    def as_json(self) -> dict[str, Any]:
        """The test as a JSON value."""
        counts = {
            name: getattr(self, name) for name in ("n", "errors", "rest_n", "rest_errors", "p", "p_holm", "named")
        }
        rates = {name: getattr(self, name) for name in ("rate", "rest_rate", "lift", "excess")}
        return {
            "region": self.region.text(),
            "conditions": [asdict(c) for c in self.region.conditions],
            "no_worse_than": self.no_worse_than.text() if self.no_worse_than is not None else None,
            **counts,
            **rates,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionReport:
    """All regions that were tested, those named first; `detectable_lift` is what a quarter of the samples would need.

    `num_grown` samples suggested regions, `num_tested` tested them. `notes` say what could not be asked and why.
    """

    n: int
    errors: int
    num_grown: int
    num_tested: int
    alpha: float
    factors: tuple[str, ...]
    tests: tuple[RegionTest, ...]
    detectable_lift: float | None
    notes: tuple[str, ...]

    @property
    def named(self) -> tuple[RegionTest, ...]:
        """The regions that hold more than their part."""
        return tuple(test for test in self.tests if test.named)

    def as_json(self) -> dict[str, Any]:
        """The report as a JSON value."""
        plain = {name: getattr(self, name) for name in ("n", "errors", "num_grown", "num_tested", "alpha")}
        rest = {"factors": list(self.factors), "notes": list(self.notes), "detectable_lift": self.detectable_lift}
        return plain | rest | {"tests": [test.as_json() for test in self.tests]}


def find_regions(table: ErrorTable, *, seed: int = 0, alpha: float = 0.05, max_regions: int = 6) -> RegionReport:
    """Propose at most `max_regions` regions on one half of the samples and test them on the other.

    `seed` deals the samples out. With fewer than MIN_OF_EACH errors, or samples without one, nothing is tested.
    """
    usable, notes = table.usable()
    growing, testing = _halves(usable, seed)
    errors = int(usable.wrong.sum())
    notes += _too_few(errors, len(usable))
    tests: list[RegionTest] = []
    if min(errors, len(usable) - errors) >= MIN_OF_EACH:
        held_out = usable.take(testing)
        regions = propose_regions(usable.take(growing), max_regions=max_regions)
        tests = put_to_test(regions, held_out, alpha=alpha)
    return RegionReport(
        n=len(usable),
        errors=errors,
        num_grown=len(growing),
        num_tested=len(testing),
        alpha=alpha,
        factors=(*usable.numbers, *usable.words),
        tests=tuple(sorted(tests, key=lambda test: (not test.named, -test.excess, test.p))),
        detectable_lift=_detectable_lift(len(testing), errors / max(1, len(usable)), alpha / max_regions),
        notes=tuple(notes),
    )


def put_to_test(regions: list[Region], held_out: ErrorTable, *, alpha: float) -> list[RegionTest]:
    """Test regions on samples that had no part in finding them; family-wise error at most `alpha`."""
    total, errors = len(held_out), int(held_out.wrong.sum())
    inside = [region.holds(held_out) for region in regions]
    counts = [(int(mask.sum()), int(held_out.wrong[mask].sum())) for mask in inside]
    p_values = [fisher_p(k, n, errors, total) for n, k in counts]
    corrected = holm_adjusted(p_values)
    made = [
        RegionTest(
            region=region,
            n=n,
            errors=k,
            rest_n=total - n,
            rest_errors=errors - k,
            p=p,
            p_holm=p_holm,
            named=p_holm <= alpha,
        )
        for region, (n, k), p, p_holm in zip(regions, counts, p_values, corrected, strict=True)
    ]
    needed = [_with_needed_conditions(test, held_out, alpha) for test in made]
    return _without_refinements(needed, inside, held_out.wrong, alpha)


def holm_adjusted(p_values: list[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given: at most alpha exactly where his procedure rejects."""
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = highest
    return adjusted


def _with_needed_conditions(test: RegionTest, held_out: ErrorTable, alpha: float) -> RegionTest:
    """The test, named no longer where one of the region's conditions adds nothing to the others."""
    conditions = test.region.conditions
    for left_out in conditions if test.named and len(conditions) > 1 else ():
        wider = Region(conditions=tuple(other for other in conditions if other is not left_out))
        if _beats(test.region.holds(held_out), wider.holds(held_out), held_out.wrong) > alpha:
            return replace(test, named=False, no_worse_than=wider)
    return test


def _without_refinements(
    tests: list[RegionTest], inside: list[NDArray[np.bool_]], wrong: NDArray[np.bool_], alpha: float
) -> list[RegionTest]:
    """The tests, where a named region that no more than repeats a wider named one is named no longer."""
    kept = list(tests)
    for index in sorted(range(len(tests)), key=lambda i: (len(tests[i].region.conditions), -tests[i].n)):
        here = inside[index]
        for other, test in enumerate(kept):
            wider = inside[other]
            if other == index or not (test.named and kept[index].named) or test.n <= tests[index].n:
                continue
            if int((here & wider).sum()) >= _INSIDE * int(here.sum()) and _beats(here, wider | here, wrong) > alpha:
                kept[index] = replace(kept[index], named=False, no_worse_than=test.region)
    return kept


def _beats(here: NDArray[np.bool_], wider: NDArray[np.bool_], wrong: NDArray[np.bool_]) -> float:
    return fisher_p(int(wrong[here].sum()), int(here.sum()), int(wrong[wider].sum()), int(wider.sum()))


def _halves(table: ErrorTable, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that grow and rows that test: whole groups to either, one row a group to those that test."""
    groups, members = np.unique(table.groups, return_inverse=True)
    rng = np.random.default_rng([seed, len(table)])
    grows = rng.permutation(len(groups)) < len(groups) // 2
    order = rng.permutation(len(table))
    _, first = np.unique(members[order], return_index=True)
    drawn = order[first]
    return np.flatnonzero(grows[members]), np.sort(drawn[~grows[members[drawn]]])


def _too_few(errors: int, n: int) -> list[str]:
    if min(errors, n - errors) >= MIN_OF_EACH:
        return []
    return [
        f"Too few samples to name a region: {errors} errors among {n}, and at least {MIN_OF_EACH} errors and as many "
        "samples without one are needed. A larger search split (validation.shares) gives more."
    ]


def _detectable_lift(num_tested: int, rate: float, level: float) -> float | None:
    """The lift at which a region with a quarter of the samples is named in 80 of 100 cases (normal approximation)."""
    from scipy.special import ndtri

    if num_tested < 8 or rate <= 0:
        return None
    inside, outside = num_tested / 4, 3 * num_tested / 4
    lifts = np.linspace(1.0, _MOST_LIFT, 2000)
    rest = rate / (0.75 + 0.25 * lifts)
    here = np.minimum(lifts * rest, 1.0)
    spread = np.sqrt(here * (1 - here) / inside + rest * (1 - rest) / outside)
    null_spread = np.sqrt(rate * (1 - rate) * (1 / inside + 1 / outside))
    enough = (here - rest) >= -ndtri(level) * null_spread + ndtri(_POWER) * spread
    possible = enough & (lifts * rest <= 1.0)
    return float(lifts[possible.argmax()]) if possible.any() else None

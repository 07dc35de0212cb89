"""Numbers as a release manager reads them: odds for levels, counts with a noun, column names without their prefix."""

from __future__ import annotations

from components.core.decisions import Budget, ColumnScope, SplitChange


def odds(level: float) -> str:
    """A small chance as `1 in 240,000`, two digits long; a larger one, or none, in percent."""
    if level <= 0.0:
        return "none"
    if level > 0.02:
        return f"{level:.2g}" if level > 1.0 else f"{100 * level:.2g}%"
    whole = round(1.0 / level)
    places = max(0, len(str(whole)) - 2)
    return f"1 in {round(whole, -places):,}"


def share(rate: float) -> str:
    """A limit in percent, without zeros that say nothing."""
    return f"{100 * rate:.4g}%"


def count(number: int, noun: str) -> str:
    """`1 sample`, `1,346 samples`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def column(name: str) -> str:
    """A slice column as people call it."""
    return name.removeprefix("s_").replace(" x s_", " x ")


def scope(one: ColumnScope, limit: str | None) -> str:
    """What was proven of one column to lie under `limit` (None: what can be tested of it), and what could be lost."""
    state = "large enough to test alone" if limit is None else f"under {limit}"
    told = f"{column(one.column)}: {one.num_alone:,} of {one.num_values:,} {state}"
    if not one.num_small:
        return told
    together = ", together under it" if limit is not None else ", tested together"
    told += f"; {one.num_small:,} too small to test alone" + (together if one.together else ", untested")
    lost = f"; a {column(one.column)} of fewer than {count(one.lost_below, 'sample')} there could be lost whole"
    return told + (lost if one.lost_below > 1 else "")


def change(one: SplitChange) -> str:
    """What became of the certify split since the last look."""
    parts = [f"{number:,} {verb}" for number, verb in ((one.removed, "removed"), (one.added, "added")) if number]
    parts += ["labels, slices or groups changed"] if one.changed else []
    return f"the certify split is another than at the last look: {', '.join(parts)}"


def next_look(budget: Budget) -> str:
    """What the account of a split is worth now."""
    if budget.next_level <= 0.0:
        return f"{len(budget.looks)} looks were taken and none is left: `detent refresh` deals a fresh split"
    of = count(budget.num_groups, "group") if budget.num_groups else count(budget.num_certify, "sample")
    allowed = f"allows {budget.next_flips:,} negative flips of {of}"
    if budget.next_flips < 0:
        allowed = f"could not promote with {of}, even without a flip"
    return f"look {len(budget.looks) + 1} tests at {odds(budget.next_level)} and {allowed}"

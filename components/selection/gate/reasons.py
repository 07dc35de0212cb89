"""Says why, in sentences that a release manager can repeat: what certify answered, and what search shows."""

from __future__ import annotations

from dataclasses import dataclass, field

from components.core.decisions import Check, ColumnScope, Missing, Outcome, SliceCheck
from components.selection.gate import words
from components.selection.gate.checks import Findings
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import LookAnswer

ITSELF = "the candidate is the champion: the digests are equal, no answer can differ, and no look was spent"
_NUM_NAMED = 5
_UNASKED = "refused before certify was asked: no look spent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What there is to tell beside the findings; `further` counts certify samples, `photos` those to label,
    `chance` is that of a promotion then."""

    scope: tuple[ColumnScope, ...] = ()
    missing: tuple[Missing, ...] = ()
    further: int | None = None
    chance: float = 0.0
    photos: int | None = None
    num_marked: int = 0
    marked_flips: int = 0
    is_bootstrap: bool = False
    extra: tuple[str, ...] = field(default=())


def tell(
    outcome: Outcome, answer: LookAnswer | None, findings: Findings, policy: Policy, told: Told
) -> tuple[str, ...]:
    """The reasons for an outcome, the weightiest first."""
    lines = [_about_the_look(answer, policy, told) if answer is not None else _UNASKED]
    if outcome != "PROMOTE":
        lines += [_about_missing(one) for one in told.missing]
        lines += [_about_check(check) for check in findings.checks if check.result != "holds"]
        lines += _about_slices(findings.open_slices(policy))
    if told.num_marked:
        lines.append(
            f"{words.count(told.num_marked, 'sample')} left out, their labels marked as wrong; of these "
            f"{told.marked_flips:,} are negative flips of this candidate"
        )
    lines += told.extra
    if outcome == "HOLD" and not told.missing:
        lines.append(_about_further(told, asked=answer is not None))
    return tuple(lines)


def promise(policy: Policy) -> str:
    """What a PROMOTE promises, and for whom."""
    noise = f" but for at most {words.share(policy.label_noise)} of them" if policy.label_noise else ""
    return (
        f"If this split is a fair sample of your photos and its labels are right{noise}, the chance that any model "
        f"promoted on it, now or later, breaks a limit is at most {words.share(policy.spending.alpha)}; a fresh split "
        "has a chance of its own."
    )


def limits_of(policy: Policy, column: str) -> str:
    """The limit of a column's values in words; they may have several."""
    own = policy.slices.limits.get(column, policy.slices.limit)
    if not isinstance(own, dict):
        return f"{words.share(own)} each"
    found = sorted({policy.slices.limit, *own.values()})
    return f"their limits ({words.share(found[0])} to {words.share(found[-1])})"


def _about_the_look(answer: LookAnswer, policy: Policy, told: Told) -> str:
    look = answer.look
    where = "recorded answer of look" if answer.recorded else "look"
    how = f"on the certify split ({policy.mode}, {where} {look.number}, error level {words.odds(look.level)})"
    if not look.promoted:
        return f"not every limit could be certified {how}"
    if told.is_bootstrap:
        return f"certified {how}: at least {words.share(policy.bootstrap_accuracy)} right; a first model has no flips"
    parts = [f"negative flips under {words.share(policy.limit)} overall"]
    if policy.improvement.rule == "non-inferior":
        parts.append(f"accuracy lost under {words.share(policy.improvement.margin)}")
    elif policy.improvement.rule == "improve":
        parts.append("more accurate")
    parts += [words.scope(one, limits_of(policy, one.column)) for one in told.scope]
    if not told.scope and policy.denominator == "old_right":
        parts.append(f"and every slice in which the champion had at least {policy.slices.min_n} right")
    return f"certified {how}: {', '.join(parts[:2])}{''.join(f'; {part}' for part in parts[2:])}"


def _about_missing(one: Missing) -> str:
    return (
        f"{words.column(one.column)} = {one.value} is critical and certify holds {words.count(one.n, 'sample')} of it, "
        f"which proves nothing even without a flip; {one.needed:,} would do"
    )


def _about_check(check: Check) -> str:
    if check.result == "missing" or check.rate is None or check.name == "replay set":
        counted = f", {check.count} of {check.n}" if check.count is not None else ""
        return f"{check.name}: {check.result}{counted}. {check.reason}".strip()
    state = "proven over the limit" if check.result == "broken" else "not proven under the limit"
    return (
        f"{check.name}: {state} of {check.limit:.2%} on {check.split}: {check.count} of {check.n} "
        f"({check.rate:.2%}, between {check.lower or 0:.2%} and {check.upper or 0:.2%})"
    )


def _about_slices(rows: list[SliceCheck]) -> list[str]:
    told = [_about_slice(row) for row in sorted(rows, key=lambda row: (row.result != "broken", _harm(row)))]
    rest = len(told) - _NUM_NAMED
    return told[:_NUM_NAMED] + ([f"and {rest} more slices"] if rest > 0 else [])


def _about_slice(row: SliceCheck) -> str:
    small = ", too small to be proven safe but" if row.result == "broken" and not row.alone else ":"
    state = "proven over its limit" if row.result == "broken" else row.result
    counted = f"{row.negative_flips} flips of {row.n}, limit {row.limit:.2%}"
    return f"slice {row.column} = {row.value}{small} {state}, {counted}"


def _harm(row: SliceCheck) -> tuple[float, int]:
    return row.p_over if row.p_over is not None else 1.0, -row.negative_flips


def _about_further(told: Told, *, asked: bool) -> str:
    if told.further is None:
        return "no number of further photos would decide it at the rates seen: one is at its limit, or unknown"
    if told.further == 0:
        enough = "the certify split is large enough for the rates seen"
        return f"{enough} on search; the sealed split may be worse, or chance was against it" if asked else enough
    photos = f"label about {told.further:,} further photos like these"
    if told.photos is not None:
        photos = f"label about {told.photos:,} further photos, of which about {told.further:,} would come into certify"
    return f"{photos}: at the rates seen the next look then promotes it with about {told.chance:.0%} chance"

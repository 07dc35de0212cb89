"""Says why, in sentences that a release manager can repeat: what certify answered, and what search shows."""

from __future__ import annotations

from components.core.decisions import Check, Outcome, SliceCheck
from components.selection.checks import Findings
from components.selection.ledger import Answer
from components.selection.policy import Policy

_NUM_NAMED = 5
_UNASKED = "refused before certify was asked: no look spent"


def tell(
    outcome: Outcome, answer: Answer | None, findings: Findings, policy: Policy, further: int | None
) -> tuple[str, ...]:
    """The reasons for an outcome, the weightiest first."""
    told = [_about_the_look(answer, policy) if answer is not None else _UNASKED]
    if outcome != "PROMOTE":
        told += [_about_check(check) for check in findings.checks if check.result != "holds"]
        told += _about_slices(findings.open_slices(policy))
    if outcome == "HOLD":
        told.append(_about_further(further, policy, asked=answer is not None))
    return tuple(told)


def _about_the_look(answer: Answer, policy: Policy) -> str:
    look = answer.look
    where = "recorded answer of look" if answer.recorded else "look"
    verdict = "every limit is certified" if look.promoted else "not every limit could be certified"
    return f"{verdict} on the certify split ({policy.mode}, {where} {look.number}, error level {look.level:.3%})"


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
    told = [
        f"slice {row.column} = {row.value}: {row.result}, {row.negative_flips} flips of {row.n}, limit {row.limit:.2%}"
        for row in sorted(rows, key=lambda row: (row.result != "broken", -row.negative_flips))
    ]
    rest = len(told) - _NUM_NAMED
    return told[:_NUM_NAMED] + ([f"and {rest} more slices"] if rest > 0 else [])


def _about_further(further: int | None, policy: Policy, *, asked: bool) -> str:
    if further is None:
        return "no number of further samples would decide it at the rates seen: one is at its limit, or unknown"
    if further == 0:
        enough = "the certify split is large enough for the rates seen"
        return f"{enough}; chance was against it, or they differ there" if asked else enough
    chance = f"with {policy.min_power:.0%} chance at the rates seen"
    return f"about {further} further labelled samples would decide it, {chance}"

"""Which certified model serves each target best: the finalists are asked of certify too, the best certified is listed.

The winner is decided before. A release closes at its first promotion; a target's finalist is asked all the same, each
at the price of a look at the certify split, so the levels of all that were asked still sum to alpha at most. A target
with a champion of its own is asked about that one, since its users have nothing else to lose; any other about the main
champion, and then one Decision, and one look, serves release and target. Which certified model is best is chosen by
its figures on search.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.core.decisions import TARGETS, Decision
from components.core.files import write_json
from components.core.stages import StageReport
from components.selection.gate.evidence import Case
from components.selection.gate.gate import decide
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import Ledger
from components.selection.search.targets import Target, choose

_AT = "@"  # no candidate's name holds it


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a target gets: a certified candidate with its figures on search, or why there is none.

    `stem` names the Decision that certified it, in `decision`.
    """

    target: str
    reason: str
    candidate: str | None = None
    stem: str | None = None
    decision: Decision | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def digest(self) -> str | None:
        """The model's digest."""
        return self.decision.digests["candidate"] if self.decision is not None else None

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.candidate}: {self.reason}" if self.candidate is not None else f"none: {self.reason}"


def stem_of(candidate: str, target: str) -> str:
    """The name of the Decision on a target's finalist against that target's own champion."""
    return f"{candidate}{_AT}{target}"


def title_of(stem: str) -> str:
    """A Decision's name for people, and for MLflow, which refuses the mark."""
    return stem.replace(_AT, " for ")


def ask_finalists(
    cases: Sequence[Case],
    decisions: Mapping[str, Decision],
    policy: Policy,
    *,
    ledger: Ledger,
    finalists: Collection[str],
) -> dict[str, Decision]:
    """Decide on each finalist that was left unasked because another candidate had closed the release.

    `finalists` are those of targets that run the main champion. In open mode there is nothing more to ask: the first
    look burned the split.
    """
    closed = any(decision.outcome == "PROMOTE" for decision in decisions.values())
    if not closed or policy.mode == "open":
        return dict(decisions)
    asked = dict(decisions)
    for case in cases:
        decision = decisions[case.candidate]
        if case.candidate in finalists and decision.outcome == "HOLD" and decision.certified is None:
            asked[case.candidate] = decide(case, policy, ledger=ledger)
    return asked


def ask_against_own(cases: Mapping[str, Case], policy: Policy, *, ledger: Ledger) -> dict[str, Decision]:
    """Decide on the finalists of targets with a champion of their own, by target, at the price of a look each.

    In open mode they are not asked, as the release's first look burns the split.
    """
    if policy.mode == "open":
        return {}
    return {stem_of(case.candidate, target): decide(case, policy, ledger=ledger) for target, case in cases.items()}


def serve_targets(
    targets: Sequence[Target],
    decisions: Mapping[str, Decision],
    record: Mapping[str, Any],
    *,
    own: Mapping[str, str],
) -> tuple[Served, ...]:
    """For each target the most accurate certified candidate within its limits, a recipe's or the family's.

    `own` has the digest of a target's own champion: there only its finalist's Decision against that one counts.
    """
    return tuple(_serve(target, decisions, record, own=own.get(target.name)) for target in targets)


def told_of(served: Sequence[Served], *, out: Path) -> StageReport:
    """Write targets.json and tell of it: a fact and figures for each target, a run of its own where one is served."""
    if not served:
        return StageReport()
    write_json(out / TARGETS, {one.target: _plain(one) for one in served})
    children = {
        f"target {one.target}": {
            "metrics": dict(one.figures),
            "tags": {"detent.target": one.target, "detent.served_by": one.candidate, "detent.model": one.digest},
        }
        for one in served
        if one.candidate is not None
    }
    return StageReport(
        metrics={f"target.{one.target}.{name}": value for one in served for name, value in one.figures.items()},
        facts={f"target {one.target}": one.sentence for one in served},
        pictures=(TARGETS,),
        children=children,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """A certified candidate as a target's choice sees it."""

    stem: str
    decision: Decision
    accuracy: float
    flips: float
    costs: Mapping[str, float]


def _serve(target: Target, decisions: Mapping[str, Decision], record: Mapping[str, Any], *, own: str | None) -> Served:
    certified = [
        _Standing(
            stem=stem,
            decision=decision,
            accuracy=decision.counts.new_accuracy,
            flips=decision.counts.rate_of_all,
            costs=record["costs"].get(decision.candidate, {}),
        )
        for stem, decision in decisions.items()
        if decision.outcome == "PROMOTE" and decision.counts is not None and _counts_for(target, stem, own)
    ]
    index = choose(certified, target)
    if index is None:
        return Served(target=target.name, reason=_why_none(target, decisions, record, own=own))
    best = certified[index]
    figures = {"search_accuracy": best.accuracy, "search_negative_flip_rate": best.flips, **best.costs}
    cost = ", ".join(f"{name} {value:.4g}" for name, value in best.costs.items())
    return Served(
        target=target.name,
        candidate=best.decision.candidate,
        stem=best.stem,
        decision=best.decision,
        figures=figures,
        reason=f"certified; on search {best.accuracy:.1%} right, {best.flips:.2%} negative flips; {cost}",
    )


def _counts_for(target: Target, stem: str, own: str | None) -> bool:
    _, at, of = stem.partition(_AT)
    return of == target.name if own is not None else not at


def _why_none(target: Target, decisions: Mapping[str, Decision], record: Mapping[str, Any], *, own: str | None) -> str:
    told = record["targets"].get(target.name, {"reason": "training had no family to search"})
    name = told.get("candidate")
    decision = decisions.get(stem_of(name, target.name) if own is not None else name)
    keeps = f"; it keeps its own champion {own[:12]}" if own is not None else ""
    if decision is None:
        return str(told.get("reason", f"its finalist {name} was not asked")) + keeps
    if decision.outcome == "PROMOTE":
        why = f"its finalist {name} is certified, but on search, as the gate counts it, outside the target's limits"
    else:
        why = f"its finalist {name} is not certified: {decision.outcome}, {decision.reasons[0]}"
    return why + keeps


def _plain(served: Served) -> dict[str, Any]:
    return {
        "candidate": served.candidate,
        "digest": served.digest,
        "decision": {"name": served.stem, "digest": served.decision.digest} if served.decision is not None else None,
        "figures": dict(served.figures),
        "reason": served.reason,
    }

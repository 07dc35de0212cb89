"""Which certified model serves each target best: the finalists are asked of certify too, the best certified is listed.

The winner, and so the champion, is decided before and is one. A release closes at its first promotion; a target's
finalist is asked all the same, each at the price of a look at the certify split, so the levels of all that were asked
still sum to alpha at most. Which certified model is best is chosen by its figures on search.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.decisions import Decision
from components.core.files import read_json, write_json
from components.core.stages import StageReport
from components.selection.evidence import Evidence
from components.selection.gate import decide
from components.selection.ledger import Ledger
from components.selection.policy import Policy
from components.selection.targets import Target, choose

FAMILY, RECORD = "family", "record.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What a target gets: a certified candidate with its figures on search, or why there is none."""

    target: str
    candidate: str | None
    digest: str | None
    figures: Mapping[str, float]
    reason: str

    @property
    def sentence(self) -> str:
        """For people."""
        return f"{self.candidate}: {self.reason}" if self.candidate is not None else f"none: {self.reason}"


def write_record(
    training: Path, *, targets: Mapping[str, Mapping[str, str]], costs: Mapping[str, Mapping[str, float]]
) -> None:
    """Keep with training what its family was searched for: by target a candidate or a reason, costs by candidate."""
    write_json(training / FAMILY / RECORD, {"targets": dict(targets), "costs": dict(costs)})


def read_record(training: Path) -> dict[str, Any]:
    """What `write_record` kept; nothing where there was no family."""
    path = training / FAMILY / RECORD
    return read_json(path) if path.is_file() else {"targets": {}, "costs": {}}


def ask_finalists(
    evidences: Sequence[Evidence],
    decisions: Mapping[str, Decision],
    policy: Policy,
    *,
    ledger: Ledger,
    record: Mapping[str, Any],
) -> dict[str, Decision]:
    """Decide on each target's finalist that was left unasked because another candidate had closed the release.

    In open mode there is nothing more to ask: the first look burned the split.
    """
    finalists = {told.get("candidate") for told in record["targets"].values()}
    closed = any(decision.outcome == "PROMOTE" for decision in decisions.values())
    if not closed or policy.mode == "open":
        return dict(decisions)
    asked = dict(decisions)
    for evidence in evidences:
        decision = decisions[evidence.candidate]
        if evidence.candidate in finalists and decision.outcome == "HOLD" and decision.certified is None:
            asked[evidence.candidate] = decide(evidence, policy, ledger=ledger)
    return asked


def serve_targets(
    targets: Sequence[Target], decisions: Mapping[str, Decision], record: Mapping[str, Any]
) -> tuple[Served, ...]:
    """For each target the most accurate certified candidate within its limits, a recipe's or the family's."""
    return tuple(_serve(target, decisions, record) for target in targets)


def told_of(served: Sequence[Served], *, out: Path) -> StageReport:
    """Write targets.json and tell of it: a fact and figures for each target, a run of its own where one is served."""
    if not served:
        return StageReport()
    write_json(out / "targets.json", {one.target: _plain(one) for one in served})
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
        pictures=("targets.json",),
        children=children,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standing:
    """A certified candidate as a target's choice sees it."""

    name: str
    accuracy: float
    flips: float
    costs: Mapping[str, float]


def _serve(target: Target, decisions: Mapping[str, Decision], record: Mapping[str, Any]) -> Served:
    certified = [
        _Standing(
            name=name,
            accuracy=decision.counts.new_accuracy,
            flips=decision.counts.rate_of_all,
            costs=record["costs"].get(name, {}),
        )
        for name, decision in decisions.items()
        if decision.outcome == "PROMOTE" and decision.counts is not None
    ]
    index = choose(certified, target)
    if index is None:
        return Served(
            target=target.name, candidate=None, digest=None, figures={}, reason=_why_none(target, decisions, record)
        )
    best = certified[index]
    figures = {"search_accuracy": best.accuracy, "search_negative_flip_rate": best.flips, **best.costs}
    cost = ", ".join(f"{name} {value:.4g}" for name, value in best.costs.items())
    return Served(
        target=target.name,
        candidate=best.name,
        digest=decisions[best.name].digests["candidate"],
        figures=figures,
        reason=f"certified; on search {best.accuracy:.1%} right, {best.flips:.2%} negative flips; {cost}",
    )


def _why_none(target: Target, decisions: Mapping[str, Decision], record: Mapping[str, Any]) -> str:
    told = record["targets"].get(target.name, {"reason": "training had no family to search"})
    name = told.get("candidate")
    if name not in decisions:
        return str(told.get("reason", f"candidate {name} was not decided on"))
    if decisions[name].outcome == "PROMOTE":
        return f"its finalist {name} is certified, but on search, as the gate counts it, outside the target's limits"
    return f"its finalist {name} is not certified: {decisions[name].outcome}, {decisions[name].reasons[0]}"


def _plain(served: Served) -> dict[str, Any]:
    return {
        "candidate": served.candidate,
        "digest": served.digest,
        "figures": dict(served.figures),
        "reason": served.reason,
    }

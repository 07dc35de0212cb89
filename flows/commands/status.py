"""Tells how a workspace stands: its champion, open proposals, the last decisions, and what a run would do."""

from __future__ import annotations

from components.core.champions import Champion
from components.promotion.audit import status as read_standing
from components.selection.gate import words
from components.workloads.rails.records import read_decisions
from flows.answers import Answer
from flows.budget import anchor_warning, budget_of, fresh_split_size, is_small, is_worn
from flows.layout import stale_part
from flows.office import Office
from flows.sources import fresh_sources


def read_status() -> Answer:
    """The champion and those of targets, open proposals, the last decisions, and what a run would do."""
    office = Office.open()
    workspace, params, main = office.workspace, office.params, office.key()
    standing = read_standing(office.journal)
    champions = {one.target: one for one in standing.champions if one.key._replace(target="") == main}
    champion = champions.get("")
    proposals = [p for p in standing.proposals if p.key._replace(target="") == main]
    decisions = {name: decision.outcome for name, decision in read_decisions(workspace).items()}
    budget, warning = budget_of(workspace, params), anchor_warning(workspace)
    worn = budget is not None and is_worn(budget, params)
    small = budget is not None and is_small(budget, params)
    stale = stale_part(workspace.root, office.workload)
    changes = list(office.stages() if stale or fresh_sources(office) else office.changes())
    lines = [
        _describe(champion),
        *(_describe(one) for target, one in champions.items() if target),
        *(
            f"proposal {p.number}{_of(p.key.target)}: {p.state}, expires {p.expires_at}, report {p.candidate.report}"
            for p in proposals
        ),
        f"last decisions: {', '.join(f'{name} {outcome}' for name, outcome in decisions.items()) or 'none yet'}",
        *([f"certify: {words.next_look(budget)}"] if budget is not None else []),
        *(["certify is worn: `detent refresh` deals a fresh split"] if worn else []),
        *([f"certify is small: {fresh_split_size(params)} would do for a good candidate"] if small else []),
        *([f"warning: {warning}"] if warning else []),
        *([f"dvc.yaml is of an earlier version ({stale}): `detent upgrade`, then"] if stale else []),
        f"a run would do: {', '.join(changes) or 'nothing, all is up to date'}",
    ]
    return Answer(
        value={
            "champion": champion.model if champion is not None else None,
            "version": champion.version if champion is not None else None,
            "bento": champion.bento if champion is not None else None,
            "targets": {
                target: {"champion": one.model, "version": one.version, "bento": one.bento}
                for target, one in champions.items()
                if target
            },
            "proposals": [
                {"number": p.number, "state": p.state, "model": p.candidate.digests.model, "target": p.key.target}
                for p in proposals
            ],
            "decisions": decisions,
            "looks": len(budget.looks) if budget is not None else 0,
            "next_level": budget.next_level if budget is not None else None,
            "worn": worn,
            "anchor_committed": warning is None,
            "would_run": changes,
        },
        lines=lines,
    )


def _describe(champion: Champion | None) -> str:
    if champion is None:
        return "champion: none yet; the first release that passes becomes it"
    return (
        f"champion{_of(champion.target)}: version {champion.version}, model {champion.model[:12]}, "
        f"Bento {champion.bento}, since {champion.since}"
    )


def _of(target: str) -> str:
    return f" for {target}" if target else ""

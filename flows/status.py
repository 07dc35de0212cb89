"""Tells how a workspace stands: its champion, open proposals, the last decisions, and what a run would do."""

from __future__ import annotations

from components.core.workspace import STAGES, Workspace
from components.promotion.proposals import pending_proposals
from components.promotion.rows import Champion
from components.workloads.params import load_params
from components.workloads.records import read_decisions
from flows.answers import Answer
from flows.baseline import champion_of
from flows.desks import open_journal
from flows.runs import is_taken_in, prepare
from flows.versions import Graph


def read_status() -> Answer:
    """The champion, open proposals, the last decisions, and what a run would do."""
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    params = load_params(workspace)
    champion = champion_of(settings, params)
    proposals = [p for p in pending_proposals(open_journal(settings)) if p.key == (params.workload, params.catalog)]
    decisions = {name: decision.outcome for name, decision in read_decisions(workspace).items()}
    changes = list(Graph(workspace.root).changes()) if is_taken_in(workspace.source("catalog")) else list(STAGES)
    lines = [
        _describe(champion),
        *(f"proposal {p.number}: {p.state}, expires {p.expires_at}, report {p.candidate.report}" for p in proposals),
        f"last decisions: {', '.join(f'{name} {outcome}' for name, outcome in decisions.items()) or 'none yet'}",
        f"a run would do: {', '.join(changes) or 'nothing, all is up to date'}",
    ]
    return Answer(
        value={
            "champion": champion.model if champion is not None else None,
            "version": champion.version if champion is not None else None,
            "bento": champion.bento if champion is not None else None,
            "proposals": [
                {"number": p.number, "state": p.state, "model": p.candidate.digests.model} for p in proposals
            ],
            "decisions": decisions,
            "would_run": changes,
        },
        lines=lines,
    )


def _describe(champion: Champion | None) -> str:
    if champion is None:
        return "champion: none yet; the first release that passes becomes it"
    return (
        f"champion: version {champion.version}, model {champion.model[:12]}, "
        f"Bento {champion.bento}, since {champion.since}"
    )

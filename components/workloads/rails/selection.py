"""Holds a release's candidates against the champion: verdicts on every split, one decision a candidate.

Verdicts on the certify split are made here, handed to the gate and forgotten: they are never written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from components.core import manifest, verdicts
from components.core.decisions import Decision
from components.core.errors import DataError
from components.core.files import write_json, write_text
from components.core.stages import StageReport
from components.core.workspace import Workspace
from components.models.artefacts import LoadedModel, load_model
from components.models.identity import model_digest
from components.selection.gate.assembly import rows_for
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.gate import decide, decide_all, policy_digest
from components.selection.report.report import write_report
from components.selection.review.marks import read_marks
from components.workloads.classification.judging import Edges, factor_edges, judge_model
from components.workloads.rails.looks import open_ledger, read_membership
from components.workloads.rails.params import Params
from components.workloads.rails.records import WINNER, champion_folder, code_digest, evaluation_digest, winner_json
from components.workloads.rails.targets import (
    ask_against_own,
    ask_finalists,
    num_searched,
    read_record,
    serve_targets,
    stem_of,
    title_of,
    told_of,
)

RESEED = "reseed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bench:
    """The models of a release and where their verdicts are taken.

    `own` has the champions of targets that run another than the main one.
    """

    search: Path
    certify: Path
    replay: Path
    cache: Path
    champion: LoadedModel | None
    own: dict[str, LoadedModel]
    anchor: LoadedModel | None
    reseed: LoadedModel | None
    candidates: dict[str, LoadedModel]
    edges: Edges


def gate(workspace: Workspace, params: Params, *, champion: Path | None, out: Path) -> StageReport:
    """Decide on every candidate and write decisions, verdicts on search and winner.json to `out`."""
    bench = _open_bench(workspace, params, champion)
    if not manifest.count(bench.certify):
        return _without_photos(bench, out)
    tables = _search_verdicts(bench, out)
    fresh = [name for name, model in bench.candidates.items() if not _is_champion(model, bench)]
    evidences = {name: _evidence(name, bench, tables, workspace, params) for name in fresh}
    policy = params.selection.policy
    record = read_record(workspace.stage("training"))
    finalists = {told.get("candidate") for name, told in record["targets"].items() if name not in bench.own}
    rivals = _against_own(bench, tables, record, workspace=workspace, params=params)
    with open_ledger(workspace, params) as ledger:
        decisions = dict(zip(fresh, decide_all([*evidences.values()], policy, ledger=ledger), strict=True))
        winner = next((name for name, decision in decisions.items() if decision.outcome == "PROMOTE"), None)
        decisions = ask_finalists([*evidences.values()], decisions, policy, ledger=ledger, finalists=finalists)
        decisions |= ask_against_own(rivals, policy, ledger=ledger)
    evidences |= {stem_of(evidence.candidate, target): evidence for target, evidence in rivals.items()}
    images = _image_reader(bench.search)
    for name, decision in decisions.items():
        write_text(out / f"{name}.decision.json", decision.to_json())
        rows = rows_for(decision, evidences[name], policy)
        peers = _peers(name, decisions)
        write_report(out / f"{name}.html", decision, rows=rows, images=images, peers=peers)
    write_json(out / WINNER, winner_json(winner, decisions))
    own = {name: model.digest for name, model in bench.own.items()}
    served = serve_targets(params.selection.targets, decisions, record, own=own)
    return _report(decisions, winner, told_of(served, out=out))


def gate_pair(workspace: Workspace, params: Params, *, old: Path, new: Path, out: Path) -> Decision:
    """Decide whether one model may replace another, as one look that the workspace's ledger charges."""
    photos = workspace.stage("validation") / "photos"
    bench = _Bench(
        search=photos / "search",
        certify=photos / "certify",
        replay=workspace.replay,
        cache=workspace.cache,
        champion=load_model(old),
        own={},
        anchor=_load_anchor(workspace),
        reseed=None,
        candidates={"new": load_model(new)},
        edges=factor_edges(photos / "train"),
    )
    if not manifest.count(bench.certify):
        raise DataError("there are no labelled photos to compare on; run a release with --photos first")
    tables = _search_verdicts(bench, out)
    evidence = _evidence("new", bench, tables, workspace, params)
    policy = params.selection.policy
    with open_ledger(workspace, params) as ledger:
        decision = decide(evidence, policy, ledger=ledger)
    write_text(out / "decision.json", decision.to_json())
    rows = rows_for(decision, evidence, policy)
    write_report(out / "report.html", decision, rows=rows, images=_image_reader(bench.search))
    return decision


def _open_bench(workspace: Workspace, params: Params, champion: Path | None) -> _Bench:
    photos = workspace.stage("validation") / "photos"
    folders = sorted(workspace.stage("training").glob("*/model"))
    models = {folder.parent.name: load_model(folder) for folder in folders}
    return _Bench(
        search=photos / "search",
        certify=photos / "certify",
        replay=workspace.replay,
        cache=workspace.cache,
        champion=load_model(champion) if champion is not None else None,
        own=_own_champions(workspace, params, champion),
        anchor=_load_anchor(workspace),
        reseed=models.pop(RESEED, None),
        candidates=models,
        edges=factor_edges(photos / "train"),
    )


def _own_champions(workspace: Workspace, params: Params, champion: Path | None) -> dict[str, LoadedModel]:
    folders = {target.name: champion_folder(workspace, target.name) for target in params.selection.targets}
    main = model_digest(champion) if champion is not None else None
    return {
        name: load_model(folder)
        for name, folder in folders.items()
        if folder is not None and folder != champion and model_digest(folder) != main
    }


def _search_verdicts(bench: _Bench, out: Path) -> dict[str, pa.Table]:
    """The verdicts of every model on search, by name; kept for people to study."""
    models = {**bench.candidates}
    if bench.champion is not None:
        models["champion"] = bench.champion
    if bench.reseed is not None:
        models[RESEED] = bench.reseed
    tables = {name: _verdicts(model, bench.search, bench) for name, model in models.items()}
    for name, table in tables.items():
        verdicts.write(out / "verdicts" / f"search-{name}.parquet", table)
    return tables


def _verdicts(model: LoadedModel, folder: Path, bench: _Bench) -> pa.Table:
    """Verdicts with factors cut where the train split has its quarters."""
    return judge_model(model, folder, cache=bench.cache, edges=bench.edges)


def _is_champion(model: LoadedModel, bench: _Bench) -> bool:
    """A candidate that is champion already has nothing to prove, and must not cost a look."""
    return bench.champion is not None and model.digest == bench.champion.digest


def _image_reader(folder: Path) -> Callable[[str], bytes | None]:
    """Gives the encoded image of a sample of the search split; reads a row group at a time, not the split."""
    rows = {name: index for index, name in enumerate(manifest.read(folder, ["sample_id"])["sample_id"].to_pylist())}
    data = manifest.dataset(folder)

    def read(name: str) -> bytes | None:
        if name not in rows:
            return None
        encoded: bytes = data.take([rows[name]], columns=["image"])["image"][0].as_py()["bytes"]
        return encoded

    return read


def _evidence(name: str, bench: _Bench, tables: dict[str, pa.Table], workspace: Workspace, params: Params) -> Evidence:
    candidate, anchor = bench.candidates[name], bench.anchor
    membership = read_membership(workspace)
    return Evidence(
        candidate=name,
        candidate_digest=candidate.digest,
        champion_digest=bench.champion.digest if bench.champion is not None else None,
        certify=_pair(bench, candidate, bench.certify),
        search=Pair(old=tables.get("champion"), new=tables[name]),
        replay=_pair(bench, candidate, bench.replay) if manifest.count(bench.replay) else None,
        wrong_labels=read_marks(workspace.marks),
        anchor_digest=anchor.digest if anchor is not None else None,
        anchor_certify=_verdicts(anchor, bench.certify, bench) if anchor is not None else None,
        anchor_search=_verdicts(anchor, bench.search, bench) if anchor is not None else None,
        reseeds=(tables[RESEED],) if RESEED in tables else (),
        shows=membership.shows,
        exposed=membership.exposed,
        certify_share=params.validation.shares.certify,
        num_tried=max(len(bench.candidates), num_searched(workspace.stage("training"))),
        digests={
            "candidate": candidate.digest,
            "champion": bench.champion.digest if bench.champion is not None else "",
            "dataset": evaluation_digest(workspace),
            "policy": policy_digest(params.selection.policy),
            "code": code_digest(),
        },
    )


def _against_own(
    bench: _Bench, tables: dict[str, pa.Table], record: Mapping[str, Any], *, workspace: Workspace, params: Params
) -> dict[str, Evidence]:
    """The finalists of targets with a champion of their own against that champion, by target; none for itself."""
    found = {}
    for target, own in bench.own.items():
        name = record["targets"].get(target, {}).get("candidate")
        if name in bench.candidates and bench.candidates[name].digest != own.digest:
            old = judge_model(own, bench.search, cache=bench.cache)
            given = {name: tables[name], "champion": old}
            found[target] = _evidence(name, replace(bench, champion=own), given, workspace, params)
    return found


def _load_anchor(workspace: Workspace) -> LoadedModel | None:
    folder = workspace.baseline / "anchor"
    return load_model(folder) if folder.is_dir() else None


def _pair(bench: _Bench, candidate: LoadedModel, folder: Path) -> Pair:
    old = _verdicts(bench.champion, folder, bench) if bench.champion is not None else None
    return Pair(old=old, new=_verdicts(candidate, folder, bench))


def _peers(name: str, decisions: Mapping[str, Decision]) -> list[Decision]:
    """The other decisions against the same champion."""
    champion = decisions[name].digests.get("champion")
    return [d for other, d in decisions.items() if other != name and d.digests.get("champion") == champion]


def _report(decisions: dict[str, Decision], winner: str | None, targets: StageReport) -> StageReport:
    facts = {title_of(name): f"{d.outcome}: {' '.join(d.reasons)}" for name, d in decisions.items()}
    metrics: dict[str, float] = {}
    for stem, decision in decisions.items():
        name, counts = title_of(stem), decision.counts
        if counts is not None:
            metrics[f"{name}.search_accuracy"] = counts.new_accuracy
            metrics[f"{name}.search_negative_flip_rate"] = counts.rate_of_all
            metrics[f"{name}.search_negative_flips"] = float(counts.negative_flips)
    files = tuple(f"{name}.{kind}" for name in decisions for kind in ("html", "decision.json"))
    return StageReport(
        metrics={**metrics, **targets.metrics},
        facts={"winner": winner or "none", **facts, **targets.facts},
        pictures=files + targets.pictures,
        children=targets.children,
    )


def _without_photos(bench: _Bench, out: Path) -> StageReport:
    """No labelled photos, nothing to certify on: every candidate is on hold."""
    reason = (
        "there are no labelled photos to certify on: give --photos, or `detent refresh` where the split was retired or "
        "shown; synthetic images prove nothing about customers"
    )
    for name in bench.candidates:
        decision = Decision(
            outcome="HOLD", candidate=name, mode="sealed", certified=None, reasons=(reason,), shown_split="none"
        )
        write_text(out / f"{name}.decision.json", decision.to_json())
    write_json(out / WINNER, winner_json(None, {}))
    files = tuple(f"{name}.decision.json" for name in bench.candidates)
    return StageReport(facts={"winner": "none", "reason": reason}, pictures=files)

"""Packages what the gate let through: a Bento of the winner, and one of each model that is to serve a target.

One candidate for two places is one Bento, built and proven once. Refused candidates are not packaged.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from components.core.files import atomic_directory, write_json
from components.core.stages import StageReport
from components.core.workspace import Workspace
from components.packaging.packaging import BENTO_FILE, package, read_bento
from components.workloads.classification.judging import parity_reference
from components.workloads.rails.params import Params
from components.workloads.rails.records import Winner, bento_file, read_target_winners, read_winner


def package_winners(workspace: Workspace, params: Params) -> StageReport:
    """Build the Bentos into the packaging stage's folder, targets' in `targets/NAME`; figures and tags as a report."""
    out = workspace.stage("packaging")
    winner, targets = read_winner(workspace), read_target_winners(workspace)
    shutil.rmtree(out / "targets", ignore_errors=True)  # of an earlier release, whose targets may be others
    made: dict[str, Path] = {}
    if winner is None:
        with atomic_directory(out) as partial:
            write_json(partial / BENTO_FILE, {"tag": None, "reason": "the gate let no candidate through"})
        report = StageReport(facts={"bento": "none: the gate let no candidate through"})
    else:
        report = _package(winner, out, workspace, params)
        made[winner.candidate] = out
    facts = dict(report.facts)
    for target, chosen in targets.items():
        folder = bento_file(workspace, target).parent
        if chosen.candidate in made:
            folder.mkdir(parents=True)
            shutil.copyfile(made[chosen.candidate] / BENTO_FILE, folder / BENTO_FILE)
        else:
            _package(chosen, folder, workspace, params)
            made[chosen.candidate] = folder
        facts[f"bento for {target}"] = read_bento(folder / BENTO_FILE, bento_home=workspace.bentos).tag
    return StageReport(metrics=report.metrics, facts=facts)


def _package(winner: Winner, out: Path, workspace: Workspace, params: Params) -> StageReport:
    model = winner.model(workspace)
    search = workspace.stage("validation") / "photos" / "search"
    reference = parity_reference(model, search, num_samples=params.packaging.parity_samples, cache=workspace.cache)
    version_info = {"candidate": winner.candidate, "workload": params.workload, "catalog": params.catalog}
    summary = package(model, reference, version_info=version_info, bento_home=workspace.bentos, out=out)
    metrics = {
        "parity_samples": float(summary.parity.num_samples),
        "parity_max_difference": summary.parity.max_difference,
    }
    return StageReport(metrics=metrics, facts={"bento": summary.bento.tag, "bento_digest": summary.bento.digest})

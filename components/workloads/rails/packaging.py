"""Packages what the gate let through: a Bento of the winner, and one of each model that is to serve a target.

One candidate for two places is one Bento, built and proven once. Refused candidates are not packaged.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from components.core.files import atomic_directory, write_json
from components.core.stages import StageReport
from components.core.workloads import StageInput
from components.packaging.packaging import BENTO_FILE, PackageSummary, copy_package, package
from components.workloads.rails.records import Winner, bento_file, read_target_winners, read_winner


def package_winners(given: StageInput) -> StageReport:
    """Build the Bentos into the packaging stage's folder, targets' in `targets/NAME`; figures and tags as a report."""
    workspace = given.workspace
    out = workspace.stage("packaging")
    winner, targets = read_winner(workspace), read_target_winners(workspace)
    shutil.rmtree(out / "targets", ignore_errors=True)  # of an earlier release, whose targets may be others
    made: dict[str, tuple[Path, PackageSummary]] = {}
    if winner is None:
        with atomic_directory(out) as empty:
            write_json(empty / BENTO_FILE, {"tag": None, "reason": "the gate let no candidate through"})
        report = StageReport(facts={"bento": "none: the gate let no candidate through"})
    else:
        made[winner.candidate] = out, _package(winner, out, given)
        report = _report(made[winner.candidate][1])
    facts = dict(report.facts)
    for target, chosen in targets.items():
        folder = bento_file(workspace, target).parent
        if chosen.candidate in made:
            copy_package(made[chosen.candidate][0], folder)
        else:
            made[chosen.candidate] = folder, _package(chosen, folder, given)
        facts[f"bento for {target}"] = made[chosen.candidate][1].bento.tag
    return StageReport(metrics=report.metrics, facts=facts)


def _package(winner: Winner, out: Path, given: StageInput) -> PackageSummary:
    workspace, params, workload = given.workspace, given.params, given.workload
    model, samples, num_samples = winner.model(workspace), workspace.samples("search"), params.packaging.parity_samples

    def record(out: Path) -> None:
        workload.record(model, samples, num_samples=num_samples, out=out, cache=workspace.cache)

    return package(
        model,
        service=workload.service,
        record=record,
        compare=workload.compare,
        version_info={"candidate": winner.candidate, "workload": params.workload, "catalog": params.catalog},
        bento_home=workspace.bentos,
        out=out,
    )


def _report(made: PackageSummary) -> StageReport:
    metrics = {
        "parity_samples": float(made.parity.num_samples),
        "parity_max_difference": made.parity.max_difference,
    }
    return StageReport(metrics=metrics, facts={"bento": made.bento.tag, "bento_digest": made.bento.digest})

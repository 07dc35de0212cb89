"""Candidates and champion in; a decision each, and the winner's name, out."""

from __future__ import annotations

from components.core.files import atomic_directory
from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput, Step
from components.workloads.rails.records import champion_folder


def selection(given: StageInput) -> StageReport:
    """Candidates and champion in; a decision each, and the winner's name, out."""
    from components.workloads.rails.selection import gate

    out = given.workspace.stage("selection")
    with atomic_directory(out) as partial:
        report = gate(given, champion=champion_folder(given.workspace), out=partial)
        write_report(partial, report)
    return report


SELECTION = Step(
    run=selection,
    sections=("catalog", "selection"),
    reads=(
        "baseline",
        "replay",
        "training",
        "validation/members.parquet",
        "validation/photos/search",
        "validation/photos/certify",
        "validation/samples/search.parquet",
        "validation/samples/certify.parquet",
    ),
)

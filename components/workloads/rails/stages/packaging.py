"""The winner in; a Bento that answers as it was evaluated out, and one for each target that is to be served."""

from __future__ import annotations

from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput, Step


def packaging(given: StageInput) -> StageReport:
    """The winner in; a Bento that answers as it was evaluated out, and one for each target that is to be served."""
    from components.workloads.rails.packaging import package_winners

    report = package_winners(given)
    write_report(given.workspace.stage("packaging"), report)
    return report


PACKAGING = Step(
    run=packaging,
    sections=("packaging",),
    reads=("selection", "training", "validation/photos/search", "validation/samples/search.parquet"),
)

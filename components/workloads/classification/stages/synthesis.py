"""Clean catalogue and backgrounds in; labelled images with masks, boxes and provenance out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput

if TYPE_CHECKING:
    from components.synthesis.config import SynthesisConfig


def synthesis(given: StageInput) -> StageReport:
    """Clean catalogue and backgrounds in; labelled images with masks, boxes and provenance out."""
    from components.synthesis.generation import synthesise
    from components.synthesis.picture.contact_sheet import draw_contact_sheet

    workspace = given.workspace
    config: SynthesisConfig = given.params.synthesis
    validated = workspace.stage("validation")
    out = workspace.stage("synthesis")
    summary = synthesise(
        validated / "catalog",
        validated / "backgrounds",
        config,
        out=out,
        seed=given.params.seed,
        code=given.code["synthesis"],
        cache=workspace.cache,
    )
    draw_contact_sheet(out, out / "contact_sheet.png")
    metrics = {
        "num_images": float(summary.num_images),
        "num_doubtful": float(sum(item.used for item in summary.doubtful)),
        "num_left_out": float(sum(not item.used for item in summary.doubtful)),
        **{f"num_{generator}": float(number) for generator, number in summary.num_by_generator.items()},
    }
    sheets = ["contact_sheet.png", *([summary.doubts_path.name] if summary.doubts_path is not None else [])]
    return _told(
        out,
        StageReport(
            metrics=metrics,
            facts={**summary.findings, "synthesis_recipe": summary.recipe},
            # recipe.json names every asset; kept with the run, it answers later what an asset has touched
            pictures=(*sheets, "recipe.json"),
        ),
    )


def _told(out: Path, report: StageReport) -> StageReport:
    write_report(out, report)
    return report

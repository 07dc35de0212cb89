"""What `detent aim` does: finds where a model errs, tells and draws it, and on request aims synthesis there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError
from components.core.files import write_json
from components.selection.regions.error_regions import RegionReport, RegionTest, find_regions
from components.selection.regions.region_picture import draw_regions
from components.synthesis.picture.aims import Aim
from components.workloads.classification.aiming import Evidence, aims_for, drawn_factors, read_evidence, write_aims
from flows.answers import Answer, Table
from flows.office import Office

_COLUMNS = ("region", "n", "errors", "rate", "rate outside", "lift", "p (Holm)", "")


def aim_synthesis(
    *,
    verdicts: str | None = None,
    manifest: str | None = None,
    against: str | None = None,
    share: float = 0.5,
    write: bool = False,
) -> Answer:
    """Name the factor regions and classes that hold the errors; with `write`, put them into params.yaml as aims.

    `verdicts` is a table (Parquet, CSV), `manifest` the folder of its samples; by default the last release's on
    search. `against` names an old table, or `champion`: then negative flips are looked for. `share` of all images go
    to the aims together. Nothing found is an answer, not an error.
    """
    office = Office.open()
    workspace = office.workspace
    makes_images = not workspace.params.is_file() or "synthesis" in office.stages()
    if write and not makes_images:
        raise ConfigError(f"workload '{office.workload.name}' makes no images to aim; leave --write out to see regions")
    found = read_evidence(workspace, verdict_file=_path(verdicts), folder=_path(manifest), against=against)
    report = find_regions(found.table, seed=_seed(office))
    aims, left_out = aims_for(report, found.table, drawn_factors(workspace.stage("synthesis")), share=share)
    if not makes_images:
        aims, left_out = (), (f"workload '{office.workload.name}' makes no images, so nothing is aimed at a region",)
    picture = draw_regions(report, found.table, workspace.reports / "aim.png")
    record = workspace.reports / "aim.json"
    written = write and bool(aims)
    value = {
        "kind": found.kind,
        "verdicts": found.source,
        **report.as_json(),
        "notes": [*found.notes, *report.notes, *left_out],
        "aims": [aim.model_dump(mode="json") for aim in aims],
        "written": written,
        "picture": str(picture),
    }
    write_json(record, value)
    if written:
        with office.lock():
            write_aims(workspace.params, aims)
    return Answer(
        value=value,
        lines=[_headline(found, report), *(f"- {note}" for note in value["notes"])],
        tables=[_table(found.kind, report)] if report.tests else [],
        after=[
            *_tell_aims(aims, written=written, asked=write),
            f"picture: {_short(picture)}",
            f"record:  {_short(record)}",
        ],
    )


def _path(name: str | None) -> Path | None:
    return Path(name) if name is not None else None


def _seed(office: Office) -> int:
    return office.params.seed if office.workspace.params.is_file() else 0


def _headline(found: Evidence, report: RegionReport) -> str:
    names = "; ".join(test.region.text() for test in report.named)
    what = f"{report.errors} {found.kind} among {report.n} samples"
    if names:
        return f"{what}. More than elsewhere in: {names}."
    if not report.tests:
        return f"{what}. No region is named."
    lift = f"; in a quarter of the samples a rate {report.detectable_lift:.1f} times the rest's would have been found"
    return f"{what}. No region is named{lift if report.detectable_lift is not None else ''}."


def _table(kind: str, report: RegionReport) -> Table:
    title = (
        f"{kind} by region, on the {report.num_tested} samples that had no part in finding it "
        f"(family-wise error {report.alpha:g})"
    )
    return Table(title=title, columns=_COLUMNS, rows=[_row(test) for test in report.tests])


def _row(test: RegionTest) -> tuple[str, ...]:
    verdict = "named" if test.named else "not named"
    if test.no_worse_than is not None:
        verdict = f"no worse than {test.no_worse_than.text()}"
    return (
        test.region.text(),
        str(test.n),
        str(test.errors),
        f"{test.rate:.1%}",
        f"{test.rest_rate:.1%}",
        "-" if test.lift is None else f"{test.lift:.1f}",
        f"{test.p_holm:.2g}",
        verdict,
    )


def _tell_aims(aims: tuple[Aim, ...], *, written: bool, asked: bool) -> list[str]:
    lines = [f"aim: {_describe(aim)}" for aim in aims]
    if written:
        return [*lines, "written to params.yaml (synthesis.aims); `detent run` makes what depends on it anew"]
    if asked:
        return [*lines, "nothing to aim at: params.yaml is left as it is"]
    return [*lines, "`--write` puts these into params.yaml"] if aims else lines


def _describe(aim: Aim) -> str:
    parts: list[Any] = [f"{name} {low:g} to {high:g}" for name, (low, high) in aim.ranges.items()]
    parts += [f"{name} {' or '.join(meant)}" for name, meant in aim.words.items()]
    if aim.classes:
        parts.append(", ".join(aim.classes))
    return f"{aim.share:.1%} of the images: {'; '.join(parts)}"


def _short(path: Path) -> str:
    return os.path.relpath(path)

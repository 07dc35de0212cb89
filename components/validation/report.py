"""Makes the page that a person reads: the verdict, every check, what was taken out, the classes."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from components.core import manifest
from components.core.manifest import Source
from components.datasets.decoding import decode_fit
from components.datasets.splits import DEALT
from components.validation.frames import Findings
from components.validation.quarantine import Quarantined
from components.validation.scene_pictures import scene_section
from components.validation.suites import CheckResult

_NUM_PICTURES = 24
_PICTURE_PX = 128
_SHOWN = {
    "num_classes": "classes",
    "num_catalog": "catalogue pictures",
    "num_models": "3D models",
    "num_photos": "photos",
    "num_train": "in train",
    "num_search": "in search",
    "num_certify": "in certify",
    "num_series": "series of near duplicates",
    "num_backgrounds": "backgrounds",
    "num_quarantined": "quarantined",
}


def render_report(
    findings: Findings,
    results: Sequence[CheckResult],
    metrics: Mapping[str, float],
    folders: Mapping[Source, Path],
    *,
    classes: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page as one HTML text with its pictures inside; equal findings give equal text.

    `classes` are the rows of the table of classes, for a workload that has such.
    """
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    blocking = [r for r in results if r.status == "failed" and r.check.severity == "blocking"]
    return environment.get_template("report.html.j2").render(
        blocking=blocking,
        verdict="blocked" if blocking else "passed",
        explanation=_explain(results, blocking),
        tiles=[(title, f"{metrics[name]:,.0f}") for name, title in _SHOWN.items() if name in metrics],
        results=results,
        quarantined=findings.quarantined,
        pictures=_pictures(findings.quarantined, folders),
        classes=classes,
        largest=max([1, *(row["num_photos"] for row in classes)]),
        splits=DEALT,
        scenes=scene_section(findings.grouping.photos, findings.exposure, folders["photo"]),
    )


def _explain(results: Sequence[CheckResult], blocking: Sequence[CheckResult]) -> str:
    count = {status: sum(r.status == status for r in results) for status in ("passed", "failed", "not applicable")}
    warnings = count["failed"] - len(blocking)
    text = f"{count['passed']} checks passed, {warnings} warned, {count['not applicable']} did not apply."
    if blocking:
        names = ", ".join(result.check.code for result in blocking)
        return f"{len(blocking)} blocking: {names}. {text} Nothing was handed on; mend the data and run again."
    return f"{text} The usable images were handed on."


def _pictures(quarantined: Sequence[Quarantined], folders: Mapping[Source, Path]) -> list[dict[str, Any]]:
    """Up to 24 of the images taken out, as far as they can be shown at all."""
    shown = [item for item in quarantined if item.kind in ("blank", "copy", "two labels")][:_NUM_PICTURES]
    pictures = []
    for source, folder in folders.items():
        items = [item for item in shown if item.source == source]
        if items:
            rows = manifest.dataset(folder).take([item.index for item in items], columns=["image"])
            pictures += [_picture(item, row["image"]) for item, row in zip(items, rows.to_pylist(), strict=True)]
    return pictures


def _picture(item: Quarantined, image: Mapping[str, Any]) -> dict[str, Any]:
    from PIL import Image

    pixels = decode_fit(image["bytes"], _PICTURE_PX, name=item.name)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=80)
    return {"name": item.name, "kind": item.kind, "data": base64.b64encode(buffer.getvalue()).decode()}

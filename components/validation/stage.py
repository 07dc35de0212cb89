"""The validation stage: from manifests as they came to clean ones with groups and splits, or a refusal.

Bad images are quarantined and the run goes on; a broken promise about the data as a whole (a leak, a class
unknown to the catalogue, too much that is unusable) stops it. The report is written either way. Equal
manifests and settings give equal bytes.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core import manifest
from components.core.errors import DataError, LeakError
from components.core.files import atomic_directory, write_json, write_text
from components.core.manifest import ManifestWriter, Source, Split
from components.core.progress import track
from components.datasets import meshes
from components.datasets.splits import DEALT, RESERVE
from components.validation import exposure
from components.validation.checks import all_checks
from components.validation.config import ScenesConfig, ValidationConfig
from components.validation.description import choose_features, describe_photos
from components.validation.facts import Facts, measure
from components.validation.frames import PhotoFindings, build_frames, class_rows
from components.validation.grouping import group_photos
from components.validation.members import members_of
from components.validation.placement import MEMBERS, Placement, read_placement, write_members
from components.validation.quarantine import Quarantined, quarantine
from components.validation.report import render_report
from components.validation.scenes import MIN_PHOTOS, Scenes, find_scenes
from components.validation.suites import CheckResult, run_checks

_UNREADABLE = ("unreadable", "truncated", "too small", "huge", "blank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The manifests that came in; an absent source is an empty manifest. `placement` is the memory of the split."""

    catalog: Path
    photos: Path
    backgrounds: Path
    placement: Path | None = None
    champion: Path | None = None  # for scenes by its features, should params.yaml ask for them

    def folders(self) -> dict[Source, Path]:
        """Each manifest by what its rows are."""
        return {"catalog": self.catalog, "photo": self.photos, "background": self.backgrounds}


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSummary:
    """How it came out: flat numbers, every check, what was taken out, and the classes in order."""

    metrics: dict[str, float]
    results: list[CheckResult]
    quarantined: list[Quarantined]
    classes: list[str]


def validate(sources: Sources, config: ValidationConfig, *, out: Path, report: Path) -> ValidationSummary:
    """Check the manifests, deal out the photos that the memory does not know, and write what is usable to `out`.

    `out` gets catalog/ (with catalog/models/ as it came, if there is any), backgrounds/,
    photos/train|search|certify|reserve/ (manifests), members.parquet (where each usable photo stands, retired ones
    too), classes.json, quarantine.json, metrics.json and report.html, all or nothing. `report` gets the page in any
    case. A blocking check that fails raises DataError, or LeakError for a leak, which names the checks and the page;
    then `out` is left alone. With its own members in memory it makes the same again.
    """
    memory = read_placement(sources.placement)
    findings = look(sources, config, memory)
    results = run_checks(all_checks(config, findings.classes), build_frames(findings, config))
    metrics = _metrics(findings, results)
    page = render_report(findings, results, metrics, sources.folders())
    write_text(report, page)
    _refuse_blocking(results, report)
    with atomic_directory(out) as partial:
        _write_manifests(sources, findings, partial)
        write_members(partial / MEMBERS, members_of(findings, split_seed=config.split_seed))
        write_json(partial / "classes.json", findings.classes)
        write_json(partial / "quarantine.json", [asdict(item) for item in findings.quarantined])
        write_json(partial / "metrics.json", metrics)
        write_text(partial / "report.html", page)
    return ValidationSummary(
        metrics=metrics, results=results, quarantined=findings.quarantined, classes=findings.classes
    )


def look(sources: Sources, config: ValidationConfig, memory: Placement) -> PhotoFindings:
    """Every image measured, what cannot serve named, the photos grouped and placed; nothing is checked or written."""
    facts = [fact for source, folder in sources.folders().items() for fact in measure(folder, source)]
    taken = quarantine(facts, config)
    # Copies stay in for the grouping: a user's own split that holds one photo twice is a leak, not a surplus.
    hopeless = {(item.source, item.index) for item in taken if item.kind in _UNREADABLE}
    photos = [fact for fact in facts if fact.source == "photo" and ("photo", fact.index) not in hopeless]
    models = tuple(meshes.model_labels(sources.catalog))
    pictured = {fact.label for fact in facts if fact.source == "catalog" and fact.label is not None}
    scenes = _find_scenes(sources, photos, config.scenes)
    grouping = group_photos(photos, config, memory=memory, scenes=scenes)
    if not memory.photos and not set(DEALT) <= set(grouping.splits):
        # scenes so large that a split has none: deal without them, and let the page say what that is worth
        grouping = group_photos(photos, config, memory=memory)
    return PhotoFindings(
        facts=facts,
        quarantined=taken,
        grouping=grouping,
        exposure=exposure.expose(grouping, scenes),
        classes=sorted(pictured | set(models)),
        models=models,
        has_retired=memory.has_retired,
    )


def _find_scenes(sources: Sources, photos: Sequence[Facts], config: ScenesConfig) -> Scenes:
    features = choose_features(config, sources.champion) if len(photos) >= MIN_PHOTOS else None
    vectors = describe_photos(sources.photos, photos, features) if features is not None else None
    return find_scenes(photos, config, features=features, vectors=vectors)


def _metrics(findings: PhotoFindings, results: Sequence[CheckResult]) -> dict[str, float]:
    usable = Counter(fact.source for fact in findings.usable())
    by_split = Counter(split for _, _, split in findings.placed())
    outcomes = Counter(_outcome(result) for result in results)
    classes = class_rows(findings)
    series = Counter(findings.grouping.series)
    kinds = Counter(item.kind for item in findings.quarantined)
    return {
        "num_classes": len(classes),
        "num_catalog": usable["catalog"],
        "num_models": len(findings.models),
        "num_photos": usable["photo"],
        "num_backgrounds": usable["background"],
        **{f"num_{split}": by_split[split] for split in (*DEALT, RESERVE)},
        "num_retired": by_split["replay"],
        "num_photos_in_smallest_class": min((row["num_photos"] for row in classes), default=0),
        "num_photos_in_largest_class": max((row["num_photos"] for row in classes), default=0),
        "num_series": sum(num > 1 for num in series.values()),
        "num_photos_in_series": sum(num for num in series.values() if num > 1),
        **exposure.metrics(findings.exposure),
        "num_quarantined": len(findings.quarantined),
        "quarantined_share": len(findings.quarantined) / max(1, len(findings.facts)),
        **{f"num_quarantined_{kind.replace(' ', '_')}": num for kind, num in sorted(kinds.items())},
        **{f"num_checks_{name}": outcomes[name] for name in ("passed", "warned", "blocked", "not_applicable")},
    }


def _outcome(result: CheckResult) -> str:
    if result.status == "failed":
        return "blocked" if result.check.severity == "blocking" else "warned"
    return result.status.replace(" ", "_")


def _refuse_blocking(results: Sequence[CheckResult], report: Path) -> None:
    failed = [r for r in results if r.status == "failed" and r.check.severity == "blocking"]
    if not failed:
        return
    found = "; ".join(
        f"{r.check.code} {r.check.sentence} Broken by {r.num_broken} of {r.num_rows}, such as {r.examples[:2]}"
        for r in failed
    )
    kind = LeakError if any(r.check.is_leak for r in failed) else DataError
    raise kind(f"validation stopped: {found}. Mend the data and run again; the whole report is at {report}")


def _write_manifests(sources: Sources, findings: PhotoFindings, out: Path) -> None:
    usable: dict[Source, dict[int, dict[str, Any]]] = {source: {} for source in sources.folders()}
    for fact in findings.usable():
        usable[fact.source][fact.index] = {"width_px": fact.width_px, "height_px": fact.height_px}
    for fact, group, split in findings.placed():
        usable["photo"][fact.index] |= {"group": group, "split": split}
    _copy(sources.catalog, {None: out / "catalog"}, usable["catalog"])
    if findings.models:
        shutil.copytree(sources.catalog / meshes.FOLDER, out / "catalog" / meshes.FOLDER)
    _copy(sources.photos, {split: out / "photos" / split for split in (*DEALT, RESERVE)}, usable["photo"])
    _copy(sources.backgrounds, {None: out / "backgrounds"}, usable["background"])


def _copy(folder: Path, targets: Mapping[Split | None, Path], usable: Mapping[int, dict[str, Any]]) -> None:
    """Copy the usable rows, with what is now known of them, to the target of their split."""
    index = 0
    with ExitStack() as stack:
        writers = {split: stack.enter_context(ManifestWriter(path)) for split, path in targets.items()}
        for batch in track(manifest.stream(folder), f"writing {folder.name}"):
            for row in batch.to_pylist():
                if index in usable:
                    more = usable[index]
                    if more.get("split") in writers:  # what is retired stands in no split
                        writers[more.get("split")].write(row | more)
                index += 1

"""The validation stage: from manifests as they came to clean ones with groups, splits and questions, or a refusal.

Bad images are quarantined and the run goes on; a broken promise about the data as a whole (a leak, a class
unknown to the catalogue, too much that is unusable) stops it. How photos are dealt and what is asked of them is a
workload's affair (`rules.py`). The report is written either way. Equal
manifests and settings give equal bytes.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core import manifest, samples
from components.core.errors import DataError, LeakError
from components.core.files import atomic_directory, write_json, write_text
from components.core.manifest import ManifestWriter, Source, Split
from components.core.progress import track
from components.datasets import meshes
from components.datasets.splits import DEALT, RESERVE
from components.validation import exposure
from components.validation.checks import image_checks
from components.validation.config import ScenesConfig, ValidationConfig
from components.validation.description import choose_features, describe_photos
from components.validation.facts import Facts, measure
from components.validation.frames import Findings, as_frames, build_frames
from components.validation.grouping import group_photos
from components.validation.members import members_of
from components.validation.placement import MEMBERS, Placement, read_placement, write_members
from components.validation.quarantine import Quarantined, quarantine
from components.validation.questions import ask_questions, question_checks, question_frames
from components.validation.report import render_report
from components.validation.rules import Examined, Rules
from components.validation.scenes import MIN_PHOTOS, Scenes, find_scenes
from components.validation.suites import CheckResult, run_checks

EACH_PHOTO = Rules()  # each photo is a question by itself
_UNREADABLE = ("unreadable", "truncated", "too small", "huge", "blank")
_FOLDERS: dict[Source, str] = {"background": "backgrounds"}  # where they are called otherwise than their rows


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationSummary:
    """How it came out: flat numbers, every check, and what was taken out."""

    metrics: dict[str, float]
    results: list[CheckResult]
    quarantined: list[Quarantined]


def validate(
    sources: Mapping[Source, Path],
    config: ValidationConfig,
    *,
    out: Path,
    report: Path,
    rules: Rules = EACH_PHOTO,
    placement: Path | None = None,
    champion: Path | None = None,
) -> ValidationSummary:
    """Check the manifests, deal out the photos that the memory does not know, and write what is usable to `out`.

    `sources` are manifests by what their rows are; only `photo` is needed, and a source that nobody gave is an empty
    manifest or left out. `placement` is the folder of the memory of the split, `champion` a model for scenes by its
    features, should params.yaml ask for them. `out` gets catalog/ (with catalog/models/ as it came, if there is any),
    backgrounds/, photos/train|search|certify|reserve/ (manifests), samples/SPLIT.parquet (what is asked of these),
    members.parquet (where each usable photo stands, retired ones too), quarantine.json, metrics.json, report.html and
    the files of `rules`, all or nothing. `report` gets the page in any case. A blocking check that fails raises
    DataError, or LeakError for a leak, which names the checks and the page; then `out` is left alone, and nothing is
    asked where it is one of images. With its own members in memory it makes the same again.
    """
    memory = read_placement(placement)
    findings = look(sources, config, memory, rules=rules, champion=champion)
    examined = rules.examine(findings, config) if rules.examine is not None else Examined()
    checks = [*image_checks(config), *examined.checks]
    frames = build_frames(findings, config) | as_frames(examined.frames)
    results = _in_order(run_checks(checks, frames))
    if _blocking(results):
        unasked = [CheckResult(check=check, status="not applicable") for check in question_checks()]
        _tell(findings, examined, _in_order([*results, *unasked]), sources=sources, report=report)
        _refuse_blocking(results, report)
    with atomic_directory(out) as partial:
        photos = _write_manifests(sources, findings, partial)
        asked = ask_questions(rules.ask, photos)
        results = _in_order([*results, *run_checks(question_checks(), question_frames(asked, photos))])
        metrics, page = _tell(findings, examined, results, sources=sources, report=report)
        _refuse_blocking(results, report)
        for split, table in asked.items():
            samples.write(partial / "samples" / f"{split}.parquet", table)
        write_members(partial / MEMBERS, members_of(findings, split_seed=config.split_seed))
        for name, value in examined.files.items():
            write_json(partial / name, value)
        write_json(partial / "quarantine.json", [asdict(item) for item in findings.quarantined])
        write_json(partial / "metrics.json", metrics)
        write_text(partial / "report.html", page)
    return ValidationSummary(metrics=metrics, results=results, quarantined=findings.quarantined)


def look(
    sources: Mapping[Source, Path],
    config: ValidationConfig,
    memory: Placement,
    *,
    rules: Rules = EACH_PHOTO,
    champion: Path | None = None,
) -> Findings:
    """Every image measured, what cannot serve named, the photos grouped and placed; nothing is checked or written."""
    facts = rules.grouped([fact for source, folder in sources.items() for fact in measure(folder, source)])
    taken = quarantine(facts, config)
    # Copies stay in for the grouping: a user's own split that holds one photo twice is a leak, not a surplus.
    hopeless = {(item.source, item.index) for item in taken if item.kind in _UNREADABLE}
    photos = [fact for fact in facts if fact.source == "photo" and ("photo", fact.index) not in hopeless]
    scenes = _find_scenes(sources["photo"], photos, config.scenes, champion=champion)
    balance = rules.balanced_by()
    grouping = group_photos(photos, config, memory=memory, scenes=scenes, balance=balance)
    if not memory.photos and not set(DEALT) <= set(grouping.splits):
        # scenes so large that a split has none: deal without them, and let the page say what that is worth
        grouping = group_photos(photos, config, memory=memory, balance=balance)
    return Findings(
        facts=facts,
        quarantined=taken,
        grouping=grouping,
        exposure=exposure.expose(grouping, scenes),
        models=tuple(meshes.model_labels(sources["catalog"])) if "catalog" in sources else (),
        has_retired=memory.has_retired,
    )


def _find_scenes(folder: Path, photos: Sequence[Facts], config: ScenesConfig, *, champion: Path | None) -> Scenes:
    features = choose_features(config, champion) if len(photos) >= MIN_PHOTOS else None
    vectors = describe_photos(folder, photos, features) if features is not None else None
    return find_scenes(photos, config, features=features, vectors=vectors)


def _in_order(results: Iterable[CheckResult]) -> list[CheckResult]:
    return sorted(results, key=lambda result: result.check.code)


def _tell(
    findings: Findings,
    examined: Examined,
    results: Sequence[CheckResult],
    *,
    sources: Mapping[Source, Path],
    report: Path,
) -> tuple[dict[str, float], str]:
    """Write the page; the stage's numbers, and the page's text."""
    metrics = _metrics(findings, results) | dict(examined.metrics)
    page = render_report(findings, results, metrics, sources, classes=examined.classes)
    write_text(report, page)
    return metrics, page


def _metrics(findings: Findings, results: Sequence[CheckResult]) -> dict[str, float]:
    usable = Counter(fact.source for fact in findings.usable())
    by_split = Counter(split for _, _, split in findings.placed())
    outcomes = Counter(_outcome(result) for result in results)
    series = Counter(findings.grouping.series)
    kinds = Counter(item.kind for item in findings.quarantined)
    return {
        "num_catalog": usable["catalog"],
        "num_models": len(findings.models),
        "num_photos": usable["photo"],
        "num_backgrounds": usable["background"],
        **{f"num_{split}": by_split[split] for split in (*DEALT, RESERVE)},
        "num_retired": by_split["replay"],
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


def _blocking(results: Sequence[CheckResult]) -> list[CheckResult]:
    return [r for r in results if r.status == "failed" and r.check.severity == "blocking"]


def _refuse_blocking(results: Sequence[CheckResult], report: Path) -> None:
    failed = _blocking(results)
    if not failed:
        return
    found = "; ".join(
        f"{r.check.code} {r.check.sentence} Broken by {r.num_broken} of {r.num_rows}, such as {r.examples[:2]}"
        for r in failed
    )
    kind = LeakError if any(r.check.is_leak for r in failed) else DataError
    raise kind(f"validation stopped: {found}. Mend the data and run again; the whole report is at {report}")


def _write_manifests(sources: Mapping[Source, Path], findings: Findings, out: Path) -> dict[Split, Path]:
    """Copy the usable rows of every source; where the photos of each split went."""
    usable: dict[Source, dict[int, dict[str, Any]]] = {source: {} for source in sources}
    for fact in findings.usable():
        usable[fact.source][fact.index] = {"width_px": fact.width_px, "height_px": fact.height_px}
    for fact, group, split in findings.placed():
        usable["photo"][fact.index] |= {"group": group, "split": split}
    photos: dict[Split, Path] = {split: out / "photos" / split for split in (*DEALT, RESERVE)}
    for source, folder in sources.items():
        targets: dict[Split | None, Path] = {None: out / _FOLDERS.get(source, source)}
        _copy(folder, dict(photos.items()) if source == "photo" else targets, usable[source])
    if findings.models:
        shutil.copytree(sources["catalog"] / meshes.FOLDER, out / "catalog" / meshes.FOLDER)
    return photos


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

"""The tables that the checks read: one row a sample, a class, a split, a group, a source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any

from components.datasets.splits import DEALT, RESERVE
from components.validation import exposure
from components.validation.config import ValidationConfig
from components.validation.dealing import tokens
from components.validation.exposure import Exposure
from components.validation.facts import Facts
from components.validation.grouping import PhotoGroups
from components.validation.quarantine import Quarantined

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoFindings:
    """What is known after looking: all images, those taken out, the grouped photos, the catalogue's classes.

    `models` has the class of each of the catalogue's 3D models; synthesis judges the models themselves.
    `has_retired` tells that a certify split was shown and is not to be used again.
    """

    facts: list[Facts]
    quarantined: list[Quarantined]
    grouping: PhotoGroups
    classes: list[str]
    exposure: Exposure
    models: tuple[str, ...] = ()
    has_retired: bool = False

    def usable(self) -> list[Facts]:
        """The images that were not quarantined."""
        out = {(item.source, item.index) for item in self.quarantined}
        return [fact for fact in self.facts if (fact.source, fact.index) not in out]

    def placed(self) -> list[tuple[Facts, str, str | None]]:
        """The usable photos with their group and split."""
        out = {item.index for item in self.quarantined if item.source == "photo"}
        grouping = self.grouping
        rows = zip(grouping.photos, grouping.groups, grouping.splits, strict=True)
        return [row for row in rows if row[0].index not in out]


def build_frames(findings: PhotoFindings, config: ValidationConfig) -> dict[str, pd.DataFrame]:
    """All frames by name. Those about photos are empty when there are none."""
    import pandas as pd

    placed = findings.placed()
    classes = class_rows(findings)
    splits = _splits(placed, config, is_own=findings.grouping.is_own_split)
    photos = [_sample(fact) | {"split_or_none": split or "none"} for fact, _, split in placed]
    labelled = [fact for fact in findings.usable() if fact.source != "background"]
    rows: dict[str, list[dict[str, Any]]] = {
        "inputs": _inputs(findings),
        "sources": source_rows(findings),
        "samples": [_sample(fact) for fact in findings.usable()],
        "labelled": [_sample(fact) for fact in labelled],
        "photos": photos,
        "classes": classes,
        "photographed_classes": _photographed(classes) if placed else [],
        "splits": splits,
        "needed_splits": [row for row in splits if _is_needed(row["name"], findings)],
        "given": _given(findings.grouping),
        "groups": _spread(findings.grouping, [[group] for group in findings.grouping.groups]),
        "parents": _spread(findings.grouping, [tokens(fact) for fact in findings.grouping.photos]),
        "scene_splits": exposure.split_rows(findings.exposure),
        "scene_classes": exposure.class_rows(findings.grouping.photos, findings.exposure),
        "series": _series(findings.grouping, {fact.index for fact, _, _ in placed}),
    }
    return {name: pd.DataFrame(found) for name, found in rows.items()}


def class_rows(findings: PhotoFindings) -> list[dict[str, Any]]:
    """One row per class of the catalogue: its usable pictures and models, and its photos in all and by split."""
    usable = Counter(fact.label for fact in findings.usable() if fact.source == "catalog")
    usable.update(findings.models)
    by_split = Counter((fact.label, split) for fact, _, split in findings.placed())
    return [
        {
            "name": name,
            "num_catalog": usable[name],
            "num_photos": sum(by_split[name, split] for split in DEALT),
            **{f"num_{split}": by_split[name, split] for split in DEALT},
        }
        for name in findings.classes
    ]


def source_rows(findings: PhotoFindings) -> list[dict[str, Any]]:
    """One row per source that holds images: how many there are and the share that cannot be used."""
    total = Counter(fact.source for fact in findings.facts)
    unusable = Counter(item.source for item in findings.quarantined if item.kind != "copy")
    return [
        {"name": name, "num_images": num, "num_unusable": unusable[name], "unusable_share": unusable[name] / num}
        for name, num in total.items()
    ]


def _sample(fact: Facts) -> dict[str, Any]:
    return {
        "name": f"{fact.source} {fact.name}",
        "label_and_name": f"{fact.label}: {fact.name}",
        "mode_and_name": f"{fact.mode}: {fact.name}",
        "sample_id": fact.sample_id,
        "id_matches": fact.id_matches,
        "label": fact.label,
        "mode": fact.mode,
        "mean": fact.mean,
        "short_side_px": min(fact.width_px, fact.height_px),
        "aspect": max(fact.width_px, fact.height_px) / min(fact.width_px, fact.height_px),
    }


def _inputs(findings: PhotoFindings) -> list[dict[str, Any]]:
    reasons = {(item.source, item.index): f"{item.kind} ({item.reason})" for item in findings.quarantined}
    rows = [(fact, reasons.get((fact.source, fact.index))) for fact in findings.facts]
    return [{"reason": why, "name_and_reason": f"{fact.source} {fact.name}: {why}"} for fact, why in rows]


def _photographed(classes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    typical = median([row["num_photos"] for row in classes if row["num_photos"]] or [1])
    # A class without photos is V012's to name; the other checks leave it out.
    return [
        {
            "name": row["name"],
            "num_photos": row["num_photos"],
            "photos_per_median": row["num_photos"] / typical if row["num_photos"] else 1.0,
            "num_in_rarest_split": min(row[f"num_{split}"] for split in DEALT) if row["num_photos"] else 1,
        }
        for row in classes
    ]


def _splits(
    placed: Sequence[tuple[Facts, str, str | None]], config: ValidationConfig, *, is_own: bool
) -> list[dict[str, Any]]:
    counts = Counter(split for _, _, split in placed)
    asked = config.shares.by_split()
    return [
        {
            "name": split,
            "num_photos": counts[split],
            "off_by": 0.0 if is_own else abs(counts[split] / len(placed) - share),
        }
        for split, share in asked.items()
        if placed
    ]


def _is_needed(split: str, findings: PhotoFindings) -> bool:
    """Whether a split must hold photos: not the reserve, which waits, nor certify once it has been retired."""
    return split != RESERVE and not (split == "certify" and findings.has_retired)


def _given(grouping: PhotoGroups) -> list[dict[str, Any]]:
    """One row per photo that the user put into certify: whether it had been seen before."""
    return [
        {"name": f"{fact.name} (was in {was})" if was else fact.name, "was": was or "never seen"}
        for index, fact in enumerate(grouping.photos)
        if fact.split == "certify"
        for was in (grouping.refused.get(index),)
    ]


def _spread(grouping: PhotoGroups, keys: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
    """One row per key: over how many splits the photos that carry it are spread, and which they are."""
    splits: dict[str, set[str]] = defaultdict(set)
    names: dict[str, list[str]] = defaultdict(list)
    for fact, split, carried in zip(grouping.photos, grouping.splits, keys, strict=True):
        for key in carried:
            splits[key].add(split or "none")
            names[key].append(f"{fact.name} ({split})")
    return [{"name": ", ".join(names[key][:4]), "num_splits": len(found)} for key, found in splits.items()]


def _series(grouping: PhotoGroups, usable: Collection[int]) -> list[dict[str, Any]]:
    """One row per series of near duplicates, named by a photo of each of its labels."""
    members: dict[int, list[Facts]] = defaultdict(list)
    for fact, first in zip(grouping.photos, grouping.series, strict=True):
        if fact.index in usable:
            members[first].append(fact)
    rows = []
    for found in members.values():
        by_label = {str(fact.label): fact.name for fact in found}
        name = ", ".join(f"{name} ({label})" for label, name in by_label.items())
        if len(found) > 1:
            rows.append({"name": name, "num_labels": len(by_label)})
    return rows

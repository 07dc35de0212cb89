"""What must be true of classes beside what is checked of any images: labels, the catalogue, photos by class.

The classes are those of the catalogue's pictures and 3D models; where there is no catalogue, those of the photos.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from statistics import median
from typing import Any

from components.datasets.splits import DEALT
from components.validation import exposure
from components.validation.config import ValidationConfig
from components.validation.facts import Facts
from components.validation.frames import Findings, sample_row
from components.validation.grouping import Grouping
from components.validation.rules import Examined, Rules
from components.validation.suites import Check
from components.workloads.classification.questions import ask_classes


def rules() -> Rules:
    """Photos dealt so that each class comes into every split, and asked for their class."""
    return Rules(ask=ask_classes, examine=examine_classes)


def examine_classes(findings: Findings, config: ValidationConfig) -> Examined:
    """The checks of classes with the rows that they read, and `classes.json`, in order."""
    classes = class_names(findings)
    rows = class_rows(findings, classes)
    placed = findings.placed()
    labelled = [fact for fact in findings.usable() if fact.source != "background"]
    return Examined(
        checks=(
            *_label_checks(classes),
            *(_catalog_checks() if has_catalog(findings) else ()),
            *_class_checks(config),
            *_scene_checks(),
        ),
        frames={
            "labelled": [sample_row(fact) for fact in labelled],
            "classes": rows,
            "photographed_classes": _photographed(rows) if placed else [],
            "scene_classes": exposure.class_rows(findings.grouping.photos, findings.exposure),
            "series": _series(findings.grouping, {fact.index for fact, _, _ in placed}),
        },
        metrics={
            "num_classes": len(classes),
            "num_photos_in_smallest_class": min((row["num_photos"] for row in rows), default=0),
            "num_photos_in_largest_class": max((row["num_photos"] for row in rows), default=0),
        },
        files={"classes.json": classes},
        classes=rows,
    )


def has_catalog(findings: Findings) -> bool:
    """Whether there is a catalogue that says which classes there are."""
    return bool(findings.models) or any(fact.source == "catalog" for fact in findings.facts)


def class_names(findings: Findings) -> list[str]:
    """The classes that there are, sorted."""
    source = "catalog" if has_catalog(findings) else "photo"
    pictured = {fact.label for fact in findings.facts if fact.source == source and fact.label is not None}
    return sorted(pictured | set(findings.models))


def class_rows(findings: Findings, classes: Sequence[str]) -> list[dict[str, Any]]:
    """One row per class: its usable pictures in the catalogue and models, and its photos in all and by split."""
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
        for name in classes
    ]


def _label_checks(classes: Sequence[str]) -> list[Check]:
    return [
        Check(
            code="V003",
            severity="blocking",
            sentence="Every catalogue entry and every photo has a label.",
            frame="labelled",
            expectation="ExpectColumnValuesToNotBeNull",
            arguments={"column": "label"},
        ),
        Check(
            code="V004",
            severity="blocking",
            sentence="Every photo's class is in the catalogue.",
            frame="photos",
            expectation="ExpectColumnValuesToBeInSet",
            arguments={"column": "label", "value_set": list(classes)},
            names="label_and_name",
        ),
    ]


def _catalog_checks() -> list[Check]:
    return [
        Check(
            code="V011",
            severity="blocking",
            sentence="Every class has a usable picture or a 3D model in the catalogue.",
            frame="classes",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_catalog", "min_value": 1},
        ),
    ]


def _class_checks(config: ValidationConfig) -> list[Check]:
    return [
        Check(
            code="V012",
            severity="warning",
            sentence="Every class has photos (without, it is learned from synthetic images alone).",
            frame="photographed_classes",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_photos", "min_value": 1},
        ),
        Check(
            code="V013",
            severity="warning",
            sentence=f"No class has more than {config.max_class_ratio:g} times, or less than a "
            f"{config.max_class_ratio:g}th of, the median number of photos.",
            frame="photographed_classes",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={
                "column": "photos_per_median",
                "min_value": 1 / config.max_class_ratio,
                "max_value": config.max_class_ratio,
            },
        ),
        Check(
            code="V014",
            severity="warning",
            sentence="Every class with photos has some in train, in search and in certify.",
            frame="photographed_classes",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_in_rarest_split", "min_value": 1},
        ),
        Check(
            code="V015",
            severity="warning",
            sentence="No near duplicates stand under different labels.",
            frame="series",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_labels", "max_value": 1},
        ),
    ]


def _scene_checks() -> list[Check]:
    return [
        Check(
            code="V022",
            severity="warning",
            sentence="Every class's photos come from two scenes or more (one alone certifies nothing about others).",
            frame="scene_classes",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_scenes", "min_value": 2},
        ),
    ]


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


def _series(grouping: Grouping, usable: Collection[int]) -> list[dict[str, Any]]:
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

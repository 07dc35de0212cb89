"""The tables that the checks of images read: one row an image, a split, a group, a source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from components.datasets.splits import RESERVE
from components.validation import exposure
from components.validation.config import ValidationConfig
from components.validation.dealing import tokens
from components.validation.exposure import Exposure
from components.validation.facts import Facts
from components.validation.grouping import Grouping
from components.validation.quarantine import Quarantined

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What is known after looking: all images, those taken out, the grouped photos, how alike the splits are.

    `models` has the class of each of the catalogue's 3D models; synthesis judges the models themselves.
    `has_retired` tells that a certify split was shown and is not to be used again.
    """

    facts: list[Facts]
    quarantined: list[Quarantined]
    grouping: Grouping
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


def build_frames(findings: Findings, config: ValidationConfig) -> dict[str, pd.DataFrame]:
    """All frames of images by name. Those about photos are empty when there are none."""
    placed = findings.placed()
    splits = _splits(placed, config, is_own=findings.grouping.is_own_split)
    photos = [sample_row(fact) | {"split_or_none": split or "none"} for fact, _, split in placed]
    rows: dict[str, list[dict[str, Any]]] = {
        "inputs": _inputs(findings),
        "sources": source_rows(findings),
        "samples": [sample_row(fact) for fact in findings.usable()],
        "photos": photos,
        "splits": splits,
        "needed_splits": [row for row in splits if _is_needed(row["name"], findings)],
        "given": _given(findings.grouping),
        "groups": _spread(findings.grouping, [[group] for group in findings.grouping.groups]),
        "parents": _spread(findings.grouping, [tokens(fact) for fact in findings.grouping.photos]),
        "scene_splits": exposure.split_rows(findings.exposure),
    }
    return as_frames(rows)


def as_frames(rows: Mapping[str, list[dict[str, Any]]]) -> dict[str, pd.DataFrame]:
    """Lists of rows as what the checks read."""
    import pandas as pd

    return {name: pd.DataFrame(found) for name, found in rows.items()}


def source_rows(findings: Findings) -> list[dict[str, Any]]:
    """One row per source that holds images: how many there are and the share that cannot be used."""
    total = Counter(fact.source for fact in findings.facts)
    unusable = Counter(item.source for item in findings.quarantined if item.kind != "copy")
    return [
        {"name": name, "num_images": num, "num_unusable": unusable[name], "unusable_share": unusable[name] / num}
        for name, num in total.items()
    ]


def sample_row(fact: Facts) -> dict[str, Any]:
    """One row per image: its names for people, its label, its size and levels."""
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


def _inputs(findings: Findings) -> list[dict[str, Any]]:
    reasons = {(item.source, item.index): f"{item.kind} ({item.reason})" for item in findings.quarantined}
    rows = [(fact, reasons.get((fact.source, fact.index))) for fact in findings.facts]
    return [{"reason": why, "name_and_reason": f"{fact.source} {fact.name}: {why}"} for fact, why in rows]


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


def _is_needed(split: str, findings: Findings) -> bool:
    """Whether a split must hold photos: not the reserve, which waits, nor certify once it has been retired."""
    return split != RESERVE and not (split == "certify" and findings.has_retired)


def _given(grouping: Grouping) -> list[dict[str, Any]]:
    """One row per photo that the user put into certify: whether it had been seen before."""
    return [
        {"name": f"{fact.name} (was in {was})" if was else fact.name, "was": was or "never seen"}
        for index, fact in enumerate(grouping.photos)
        if fact.split == "certify"
        for was in (grouping.refused.get(index),)
    ]


def _spread(grouping: Grouping, keys: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
    """One row per key: over how many splits the photos that carry it are spread, and which they are."""
    splits: dict[str, set[str]] = defaultdict(set)
    names: dict[str, list[str]] = defaultdict(list)
    for fact, split, carried in zip(grouping.photos, grouping.splits, keys, strict=True):
        for key in carried:
            splits[key].add(split or "none")
            names[key].append(f"{fact.name} ({split})")
    return [{"name": ", ".join(names[key][:4]), "num_splits": len(found)} for key, found in splits.items()]

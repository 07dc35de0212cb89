"""Puts photos that belong together into groups, and deals the groups out to splits.

Together belong: near duplicates, copies, photos with a parent in common or that are one another's parent, and
those that the user gave one `group`. A group's key is the user's name or else its smallest sample id.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.datasets.duplicates import cluster, describe, near_pairs
from components.datasets.splits import assign_splits
from components.validation.config import ValidationConfig
from components.validation.facts import Facts
from components.validation.scenes import NO_SCENES, Scenes, joinable


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Photos with their group, split and series of near duplicates; all lists run alongside `photos`."""

    photos: list[Facts]
    groups: list[str]
    splits: list[str | None]
    series: list[int]  # the first photo of its near duplicates, as a position
    is_own_split: bool  # the user's split, left as it is


def group_photos(
    photos: Sequence[Facts], config: ValidationConfig, *, seed: int, scenes: Scenes = NO_SCENES
) -> Grouping:
    """Group readable photos and give each a split, unless the user has given splits already."""
    photos = list(photos)
    thumbnails = np.stack([fact.thumbnail for fact in photos]) if photos else np.zeros((0, 32, 32, 3), np.uint8)
    pairs = near_pairs(describe(thumbnails), max_distance=config.near_distance, min_correlation=config.near_correlation)
    given = [fact.split for fact in photos]
    firm = np.concatenate([pairs, _declared_pairs(photos)])
    # Scenes join what has no place yet; they tear no split that stands.
    linked = cluster(len(photos), np.concatenate([firm, joinable(scenes.links, firm=firm, held=given)]))
    groups = _keys(photos, linked)
    is_own = any(split is not None for split in given)
    labels = [fact.label for fact in photos]
    dealt = assign_splits(groups, labels, shares=config.shares.by_split(), seed=seed) if not is_own else given
    return Grouping(
        photos=photos,
        groups=groups,
        splits=list(dealt),
        series=cluster(len(photos), pairs).tolist(),
        is_own_split=is_own,
    )


def tokens(fact: Facts) -> list[str]:
    """What a photo shares with those derived from the same content: its own id and its parents'."""
    return [fact.sample_id, *fact.parents]


def _declared_pairs(photos: list[Facts]) -> npt.NDArray[np.int64]:
    first: dict[str, int] = {}
    pairs = []
    for index, fact in enumerate(photos):
        for token in [*tokens(fact), *([f"group {fact.group}"] if fact.group is not None else [])]:
            pairs.append((first.setdefault(token, index), index))
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _keys(photos: list[Facts], linked: npt.NDArray[np.int64]) -> list[str]:
    names: dict[int, set[str]] = defaultdict(set)
    ids: dict[int, set[str]] = defaultdict(set)
    for fact, root in zip(photos, linked.tolist(), strict=True):
        ids[root].add(fact.sample_id)
        if fact.group is not None:
            names[root].add(fact.group)
    return [min(names[root] or ids[root]) for root in linked.tolist()]

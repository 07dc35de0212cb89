"""Puts photos that belong together into groups, and deals the groups out to splits.

Together belong: near duplicates, copies, photos with a parent in common or that are one another's parent, those
that the user gave one `group`, and those that were one group before. A new group's key is the user's name or else
its smallest sample id; `dealing.py` says what becomes of it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.core.manifest import Split
from components.datasets.duplicates import cluster, describe, near_pairs
from components.validation.config import ValidationConfig
from components.validation.dealing import Key, deal, label_of, recall, recalled_pairs, tokens
from components.validation.facts import Facts
from components.validation.placement import Placement, more_seen
from components.validation.scenes import NO_SCENES, Scenes, joinable


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """Photos with their group, split and series of near duplicates; all lists run alongside `photos`."""

    photos: list[Facts]
    groups: list[str]
    splits: list[str | None]
    series: list[int]  # the first photo of its near duplicates, as a position
    is_own_split: bool  # the user's split, left as it is
    refused: Mapping[int, Split]  # given to certify by the user, but seen before: positions, with where they stay


def group_photos(
    photos: Sequence[Facts],
    config: ValidationConfig,
    *,
    memory: Placement,
    scenes: Scenes = NO_SCENES,
    balance: Key | None = label_of,
) -> Grouping:
    """Group readable photos and give each a split, unless the memory or the user has given one already.

    `balance` is as for `deal`.
    """
    photos = list(photos)
    thumbnails = np.stack([fact.thumbnail for fact in photos]) if photos else np.zeros((0, 32, 32, 3), np.uint8)
    pairs = near_pairs(describe(thumbnails), max_distance=config.near_distance, min_correlation=config.near_correlation)
    recalled = recall(photos, memory)
    firm = np.concatenate([pairs, _declared_pairs(photos), recalled_pairs(recalled)])
    # Scenes join what has no place yet; they tear no split that stands.
    held = [
        fact.split or (more_seen(known)[0] if known else None) for fact, known in zip(photos, recalled, strict=True)
    ]
    linked = cluster(len(photos), np.concatenate([firm, joinable(scenes.links, firm=firm, held=held)]))
    dealt = deal(photos, linked, _keys(photos, linked), recalled=recalled, config=config, balance=balance)
    return Grouping(
        photos=photos,
        groups=dealt.groups,
        splits=dealt.splits,
        series=cluster(len(photos), pairs).tolist(),
        is_own_split=any(fact.split is not None for fact in photos),
        refused=dealt.refused,
    )


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

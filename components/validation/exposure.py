"""Tells how close search and certify are to train, and what a certificate on them is then worth.

A photo is seen in train when train holds a photo of its class above the threshold at which scenes are told; by chance
few are. Where many are, the split measures how well a model knows photos of occasions that it was trained on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.core.manifest import Split
from components.datasets.duplicates import cluster
from components.datasets.neighbours import Indices, nearest
from components.validation.facts import Facts
from components.validation.grouping import PhotoGroups
from components.validation.scenes import Likeness, Scenes

NUM_PAIRS = 12
WATCHED: tuple[Split, ...] = ("search", "certify")
_TOLERANCE = 1.5  # times chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One split against train: the share of its photos over the threshold, the median cosine, pairs to show.

    Over `limit` it is closer to train than scenes are to each other. `pairs` are positions (photo, its neighbour in
    train) with their cosine, spread over classes.
    """

    split: Split
    num_photos: int
    share: float
    limit: float
    median: float
    pairs: list[tuple[int, int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """What is known of scenes and splits; `scene` is the first photo of each photo's scene, as a position."""

    scene: list[int]
    likeness: Likeness | None
    seen: list[Seen]


def expose(grouping: PhotoGroups, scenes: Scenes) -> Exposure:
    """Compare the splits of `grouping` by the likeness that `scenes` were told by."""
    photos, likeness = grouping.photos, scenes.likeness
    first = {name: index for index, name in reversed(list(enumerate(grouping.groups)))}
    groups = np.array([(first[name], index) for index, name in enumerate(grouping.groups)], dtype=np.int64)
    scene = cluster(len(photos), np.concatenate([groups.reshape(-1, 2), scenes.seen])).tolist()
    seen = [one for split in WATCHED if likeness and (one := _see(grouping, likeness, split))]
    return Exposure(scene=scene, likeness=likeness, seen=seen)


def worth(exposure: Exposure) -> str:
    """One sentence for whoever signs: what a certificate on these splits speaks of."""
    certify = next((seen for seen in exposure.seen if seen.split == "certify"), None)
    if exposure.likeness is None or certify is None:
        return (
            "How close certify is to train was not measured, so a certificate speaks of photos like those in certify, "
            "which may have been taken together with photos in train."
        )
    if certify.share > certify.limit:
        return (
            f"{certify.share:.0%} of the certify photos look as if taken together with a photo in train, so a "
            "certificate speaks of occasions that the model has seen: in new shops, on new days or from new customers "
            "expect more errors than it says."
        )
    return (
        f"{certify.share:.0%} of the certify photos look as if taken together with a photo in train, no more than "
        "chance explains, so as far as looks tell a certificate speaks of occasions that the model has not seen."
    )


def metrics(exposure: Exposure) -> dict[str, float]:
    """Flat numbers; shares and threshold only where they were measured."""
    found: dict[str, float] = {"num_scenes": float(len(set(exposure.scene)))}
    found |= {f"share_of_{seen.split}_seen_in_train": seen.share for seen in exposure.seen}
    return found | ({"scene_threshold": exposure.likeness.threshold} if exposure.likeness is not None else {})


def split_rows(exposure: Exposure) -> list[dict[str, Any]]:
    """One row per watched split: how far it is over what chance explains."""
    return [
        {
            "name": f"{seen.split}: {seen.share:.0%} of {seen.num_photos:,} photos (by chance {seen.limit:.0%} at "
            f"most), median likeness to train {seen.median:.2f}",
            "over_chance": max(0.0, seen.share - seen.limit),
        }
        for seen in exposure.seen
    ]


def class_rows(photos: Sequence[Facts], exposure: Exposure) -> list[dict[str, Any]]:
    """One row per class that has photos: how many scenes they come from."""
    scenes: dict[str, set[int]] = defaultdict(set)
    sizes: dict[str, int] = defaultdict(int)
    for fact, scene in zip(photos, exposure.scene, strict=True):
        scenes[str(fact.label)].add(scene)
        sizes[str(fact.label)] += 1
    return [
        {"name": f"{label} ({sizes[label]} photos)", "num_scenes": len(found)}
        for label, found in sorted(scenes.items())
    ]


def _see(grouping: PhotoGroups, likeness: Likeness, split: Split) -> Seen | None:
    """The nearest photo of its class in train for each photo of `split`."""
    here: dict[str, list[int]] = defaultdict(list)
    train: dict[str, list[int]] = defaultdict(list)
    for index, (fact, placed) in enumerate(zip(grouping.photos, grouping.splits, strict=True)):
        if placed in ("train", split):
            (train if placed == "train" else here)[str(fact.label)].append(index)
    if not here or not train:
        return None
    found: list[tuple[int, int, float]] = []
    for label, members in here.items():
        keys: Indices = np.array(train[label], dtype=np.int64)
        places, cosines = nearest(likeness.vectors[members], likeness.vectors[keys])
        found += [
            (index, int(keys[place]) if place >= 0 else -1, float(cosine))
            for index, place, cosine in zip(members, places.tolist(), cosines.tolist(), strict=True)
        ]
    cosines_found = np.array([cosine for _, _, cosine in found])
    return Seen(
        split=split,
        num_photos=len(found),
        share=float((cosines_found >= likeness.threshold).mean()),
        limit=_limit(likeness.chance, len(found)),
        median=float(np.median(cosines_found)),
        pairs=_show(grouping.photos, [pair for pair in found if pair[2] >= likeness.threshold]),
    )


def _limit(chance: float, num: int) -> float:
    """What chance explains: half as much again, and 2.3 standard errors of the share of `num` photos."""
    return float(min(1.0, _TOLERANCE * chance + 2.3 * np.sqrt(chance * (1 - chance) / num)))


def _show(photos: Sequence[Facts], pairs: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    """Up to 12 pairs, those in the middle of each class's likeness in turn: typical ones, not the most striking."""
    by_label: dict[str, list[tuple[int, int, float]]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: (pair[2], pair[0])):
        by_label[str(photos[pair[0]].label)].append(pair)
    largest = sorted(by_label, key=lambda label: (-len(by_label[label]), label))[:NUM_PAIRS]
    return [by_label[label][len(by_label[label]) // 2] for label in largest]

"""Finds scenes, photos that were taken in one go, and says which links between photos are fit to deal by.

What the user says with `group` comes first and is grouping's; here come EXIF (one camera, at most `minutes` from one
photo to the next) and likeness in a feature space, within a class. How alike is alike is read off the data: photos of
different classes are no shots of one thing, so the cosine that only a stated share of photos (`Features.chance`)
reaches among the photos of other classes is the threshold. Links count as scenes where clearly more photos than by
chance, twice as many, have such a neighbour in their own class. Numbers in file names are not used: of the grocery
photos 11.7% of consecutive ones are alike and 11.2% of others of a class, and a chain of them would join a whole class.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from components.datasets.duplicates import cluster
from components.datasets.features import Features, Floats
from components.datasets.neighbours import Indices, alike_pairs, nearest
from components.validation.config import ScenesConfig
from components.validation.facts import Facts

MIN_PHOTOS = 50  # fewer give no percentile worth the name
_BEYOND_CHANCE = 2.0
_MAX_GAPS = 24  # a chain of one camera model over more gaps than this is several cameras
_NUM_NULL = 5000
_NONE: Indices = np.zeros((0, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """Photos in a feature space: unit `vectors` [N, E], and the `threshold` that `chance` of the photos reaches.

    `share_alike` of the photos reach it in their own class. `is_beyond_chance` says whether that shows scenes.
    """

    features: str
    vectors: Floats
    chance: float
    threshold: float
    share_alike: float

    @property
    def is_beyond_chance(self) -> bool:
        """Whether clearly more photos than by chance have a close neighbour in their own class."""
        return self.share_alike >= _BEYOND_CHANCE * self.chance


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenes:
    """Links of photos to one scene, positions [M, 2], the surest first: those to deal by, and all that were seen."""

    links: Indices = field(default_factory=lambda: _NONE)
    seen: Indices = field(default_factory=lambda: _NONE)
    likeness: Likeness | None = None


NO_SCENES = Scenes()


def find_scenes(
    photos: Sequence[Facts], config: ScenesConfig, *, features: Features | None = None, vectors: Floats | None = None
) -> Scenes:
    """The scenes of `photos`, given their comparable `vectors` (None: nothing is known but EXIF)."""
    by_camera = camera_links(photos, minutes=config.minutes)
    likeness, alike = None, _NONE
    if features is not None and vectors is not None:
        likeness = measure_likeness(photos, config, features=features, vectors=vectors)
    if likeness is not None and (likeness.is_beyond_chance or config.threshold != "auto"):
        alike = _alike_in_class(photos, likeness)
    is_fit = config.apply == "group" and config.features != "champion"
    links = np.concatenate([by_camera, alike]) if is_fit else by_camera
    return Scenes(links=links, seen=np.concatenate([by_camera, alike]), likeness=likeness)


def camera_links(photos: Sequence[Facts], *, minutes: float) -> Indices:
    """Pairs of photos that one camera took within `minutes`, in time.

    Without a serial number a model may be many people's: a chain that goes on over 24 gaps links nothing.
    """
    by_camera: dict[str, list[int]] = defaultdict(list)
    for index, fact in enumerate(photos):
        if fact.taken is not None:
            by_camera[fact.taken.camera].append(index)
    pairs: list[tuple[int, int]] = []
    for members in by_camera.values():
        for chain in _chains(members, photos, 60 * minutes):
            pairs += pairwise(chain)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _chains(members: Sequence[int], photos: Sequence[Facts], gap_s: float) -> Iterator[list[int]]:
    timed = sorted((taken.time_s, index) for index in members if (taken := photos[index].taken) is not None)
    chain: list[tuple[float, int]] = []
    for time_s, index in [*timed, (float("inf"), -1)]:
        if chain and (time_s - chain[-1][0] > gap_s or index < 0):
            taken = photos[chain[0][1]].taken
            is_one = taken is not None and taken.has_serial
            if is_one or chain[-1][0] - chain[0][0] <= _MAX_GAPS * gap_s:
                yield [index for _, index in chain]
            chain = []
        chain.append((time_s, index))


def measure_likeness(
    photos: Sequence[Facts], config: ScenesConfig, *, features: Features, vectors: Floats
) -> Likeness | None:
    """Set the threshold by the photos of other classes; None where there are too few photos or one class."""
    labels = _label_numbers(photos)
    if len(photos) < MIN_PHOTOS or labels.max(initial=0) == 0:
        return None
    chosen = np.linspace(0, len(photos) - 1, min(_NUM_NULL, len(photos))).astype(int)
    _, other = nearest(vectors[chosen], vectors, not_in=(labels[chosen], labels))
    threshold = float(np.quantile(other, 1 - features.chance)) if config.threshold == "auto" else config.threshold
    own = np.full(len(photos), -1.0, dtype=np.float32)
    for members in _by_label(labels):
        _, own[members] = nearest(vectors[members], vectors[members], not_in=(members, members))
    return Likeness(
        features=features.name,
        vectors=vectors,
        chance=float((other >= threshold).mean()),
        threshold=threshold,
        share_alike=float((own >= threshold).mean()),
    )


def joinable(links: Indices, *, firm: Indices, held: Sequence[Hashable | None]) -> Indices:
    """Those of `links`, taken in their order, that join no two groups held in different places.

    `firm` pairs are groups already; `held` says where a photo stands (None: nowhere yet). So no split that was dealt
    before is torn or emptied because scenes were found in it later.
    """
    root = cluster(len(held), firm)
    place: dict[int, Hashable] = {int(root[i]): where for i, where in enumerate(held) if where is not None}
    parent = {int(number): int(number) for number in root}

    def find(item: int) -> int:
        while parent[item] != item:
            parent[item] = parent[parent[item]]
            item = parent[item]
        return item

    kept = []
    for left, right in links.tolist():
        a, b = find(int(root[left])), find(int(root[right]))
        if a == b or (a in place and b in place and place[a] != place[b]):
            continue
        parent[b] = a
        if b in place:
            place[a] = place[b]
        kept.append((left, right))
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _alike_in_class(photos: Sequence[Facts], likeness: Likeness) -> Indices:
    found, cosines = [_NONE], [np.zeros(0, dtype=np.float32)]
    for members in _by_label(_label_numbers(photos)):
        pairs, cosine = alike_pairs(likeness.vectors[members], at_least=likeness.threshold)
        found.append(members[pairs])
        cosines.append(cosine)
    return np.concatenate(found)[np.argsort(-np.concatenate(cosines), kind="stable")]


def _label_numbers(photos: Sequence[Facts]) -> Indices:
    names = np.array([fact.label or "" for fact in photos], dtype=object)
    return (
        np.unique(names.astype(str), return_inverse=True)[1].astype(np.int64) if len(names) else np.zeros(0, np.int64)
    )


def _by_label(labels: npt.NDArray[np.int64]) -> list[Indices]:
    return [np.flatnonzero(labels == label) for label in range(int(labels.max(initial=-1)) + 1)]

"""How much a certify split of the grocery photos flatters, by the way in which photos are put into groups.

    PYTHONPATH=. python -m tests.benchmarks.certification.scenes

A classifier learns four fifths of the groups and is asked about the fifth left out, in five turns; the same classifier
is asked about photos from other visits, which is the truth. The nearer both come, the more a certificate is worth.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.datasets.decoding import decode_fit, decode_thumbnail
from components.datasets.duplicates import THUMBNAIL_PX, cluster, describe, near_pairs
from components.datasets.features import Appearance, Floats, comparable
from components.datasets.neighbours import alike_pairs, nearest

ROOT = Path(__file__).resolve().parents[4] / "shared" / "data" / "grocery"
NUM_FOLDS = 5

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Photos of one part of the set: pixels at 64 px, thumbnails, labels."""

    pixels: npt.NDArray[np.uint8]
    thumbnails: npt.NDArray[np.uint8]
    labels: Labels


def leak(*, judges: Mapping[str, tuple[Floats, Floats]] | None = None, seed: int = 0) -> dict[str, dict[str, float]]:
    """By grouping, the figures of each judge, a feature space for train and val in which the classifier works.

    `truth` is its accuracy on the other visits; `held_out` the one on groups left out; `largest` the largest group's
    share. The default judge knows where colours lie, which scenes are not told by, and needs no weights.
    """
    train, val = read("train"), read("val")
    judges = judges or {"layout": (layout(train.pixels), layout(val.pixels))}
    found = {}
    for name, groups in groupings(train).items():
        sizes = np.unique(groups, return_counts=True)[1]
        figures = {"num_groups": float(len(sizes)), "largest": float(sizes.max() / len(groups))}
        for judge, (learned, asked) in judges.items():
            truth = classify(learned, train.labels, asked) == val.labels
            figures[f"{judge}_truth"] = float(truth.mean())
            figures[f"{judge}_held_out"] = held_out(learned, train.labels, groups, seed=seed)
        found[name] = figures
    return found


def chances() -> dict[str, float]:
    """With the shipped features: who reaches the threshold in his own class, and who of the other visits does."""
    train, val = read("train"), read("val")
    described = _describe(np.concatenate([train.pixels, val.pixels]))
    vectors, asked = described[: len(train.labels)], described[len(train.labels) :]
    threshold = _threshold(vectors, train.labels)
    own = _own_cosines(vectors, train.labels, vectors, train.labels, itself=True)
    other_visit = _own_cosines(asked, val.labels, vectors, train.labels, itself=False)
    return {
        "threshold": threshold,
        "chance": Appearance().chance,
        "share_of_train_alike": float((own >= threshold).mean()),
        "share_of_other_visits_alike": float((other_visit >= threshold).mean()),
    }


def groupings(train: Part) -> dict[str, Labels]:
    """The ways to put photos into groups: each its own, near duplicates, scenes by appearance."""
    num = len(train.labels)
    near = near_pairs(describe(train.thumbnails))
    vectors = _describe(train.pixels)
    threshold = _threshold(vectors, train.labels)
    links = [near]
    for label in range(train.labels.max() + 1):
        members = np.flatnonzero(train.labels == label)
        links.append(members[alike_pairs(vectors[members], at_least=threshold)[0]])
    return {
        "none": np.arange(num),
        "near duplicates": cluster(num, near),
        "scenes": cluster(num, np.concatenate(links)),
    }


def held_out(learned: Floats, labels: Labels, groups: Labels, *, seed: int = 0) -> float:
    """The accuracy on groups that were left out, in five turns."""
    names, number = np.unique(groups, return_inverse=True)
    fold = (np.random.default_rng(seed).permutation(len(names)) % NUM_FOLDS)[number]
    right = np.zeros(len(labels), dtype=bool)
    for turn in range(NUM_FOLDS):
        out = fold == turn
        right[out] = classify(learned[~out], labels[~out], learned[out]) == labels[out]
    return float(right.mean())


def classify(learned: Floats, labels: Labels, asked: Floats) -> Labels:
    """The class of the nearest neighbour."""
    return labels[nearest(asked, learned)[0]]


def layout(pixels: npt.NDArray[np.uint8]) -> Floats:
    """Where colours lie: 8x8 cells, in other words than scenes are told by."""
    cells = pixels.reshape(len(pixels), 8, 8, 8, 8, 3).mean(axis=(2, 4)).reshape(len(pixels), -1)
    return comparable(cells.astype(np.float32), is_whitened=False)


def read(part: str) -> Part:
    """The photos of a part of the set."""
    classes = sorted(folder.name for folder in (ROOT / "train").iterdir() if folder.is_dir())
    paths = [(path, label) for label, name in enumerate(classes) for path in sorted((ROOT / part / name).glob("*.jpg"))]
    data = [path.read_bytes() for path, _ in paths]
    return Part(
        pixels=np.stack([decode_fit(item, Appearance().size_px, name="photo") for item in data]),
        thumbnails=np.stack([decode_thumbnail(item, THUMBNAIL_PX, name="photo").pixels for item in data]),
        labels=np.array([label for _, label in paths], dtype=np.int64),
    )


def _describe(pixels: npt.NDArray[np.uint8]) -> Floats:
    features = Appearance()
    parts = [features.describe(pixels[start : start + 256]) for start in range(0, len(pixels), 256)]
    return comparable(np.concatenate(parts), is_whitened=features.is_whitened)


def _threshold(vectors: Floats, labels: Labels) -> float:
    return float(np.quantile(nearest(vectors, vectors, not_in=(labels, labels))[1], 1 - Appearance().chance))


def _own_cosines(asked: Floats, wanted: Labels, keys: Floats, labels: Labels, *, itself: bool) -> Floats:
    found = np.full(len(asked), -1.0, dtype=np.float32)
    for label in np.unique(wanted):
        here, there = np.flatnonzero(wanted == label), np.flatnonzero(labels == label)
        found[here] = nearest(asked[here], keys[there], not_in=(here, there) if itself else None)[1]
    return found


if __name__ == "__main__":
    for name, figures in {**leak(), "chances": chances()}.items():
        sys.stdout.write(f"{name}: {', '.join(f'{key} {value:.3g}' for key, value in figures.items())}\n")

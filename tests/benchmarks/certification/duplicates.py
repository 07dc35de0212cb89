"""Precision and recall of near-duplicate detection on made pairs of real photos and of renders.

    PYTHONPATH=. python -m tests.benchmarks.certification.duplicates

Each of a set's photos is changed in five ways, as copies of a photo come about, and all are searched together. A pair
found is true when both come from one photo. In a set that was itself shot in bursts a pair of two photos counts as
false only under different labels; in the others any pair of two photos is false.
"""

from __future__ import annotations

import csv
import io
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from PIL import Image, ImageEnhance

from components.core import manifest
from components.datasets.decoding import decode_thumbnail
from components.datasets.duplicates import THUMBNAIL_PX, describe, near_pairs

ROOT = Path(__file__).resolve().parents[4] / "shared" / "data"
NUM_PHOTOS = 400  # of each set, spread over it


@dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """A set of images with their labels; `in_bursts` says that two of one label may be of one scene."""

    images: list[Image.Image]
    labels: list[str]
    in_bursts: bool = False


def precision_and_recall(photos: Photos, *, seed: int = 0) -> dict[str, float]:
    """`precision` of all pairs found, `recall` of each original with each change, and by change.

    For `precision_of_labels` only pairs of different labels are false.
    """
    rng = np.random.default_rng(seed)
    num = len(photos.images)
    made = [_encoded(image, 90) for image in photos.images]
    for change in CHANGES.values():
        made += [change(image, rng) for image in photos.images]
    thumbnails = np.stack([decode_thumbnail(data, THUMBNAIL_PX, name="made").pixels for data in made])
    pairs = near_pairs(describe(thumbnails))
    true = pairs[:, 0] % num == pairs[:, 1] % num
    labels = np.array(photos.labels * (1 + len(CHANGES)))
    wrong = ~true & (~np.bool_(photos.in_bursts) | (labels[pairs[:, 0]] != labels[pairs[:, 1]]))
    across = wrong & (labels[pairs[:, 0]] != labels[pairs[:, 1]])
    found = dict.fromkeys(CHANGES, 0)
    for left, right in pairs[true].tolist():
        if left < num:
            found[list(CHANGES)[right // num - 1]] += 1
    originals = pairs[:, 1] < num
    return {
        "num_photos": num,
        "precision": int(true.sum()) / max(1, int(true.sum() + wrong.sum())),
        "precision_of_labels": int(true.sum()) / max(1, int(true.sum() + across.sum())),
        "recall": sum(found.values()) / (num * len(CHANGES)),
        "false_pairs_of_originals": int((wrong & originals).sum()),
        "pairs_of_originals": int(originals.sum()),
        **{f"recall_{name}": count / num for name, count in found.items()},
    }


def measure(num_photos: int = NUM_PHOTOS) -> dict[str, dict[str, float]]:
    """The figures of each set that is there, by its name."""
    return {name: precision_and_recall(photos) for name, photos in sets(num_photos)}


def sets(num_photos: int = NUM_PHOTOS) -> Iterator[tuple[str, Photos]]:
    """All sets: photos as they are, the same at 64 px, small ones, and the demo's own renders."""
    grocery = sorted((ROOT / "grocery" / "train").glob("*/*.jpg"))
    if grocery:
        chosen = _spread(grocery, num_photos)
        photos = Photos(images=[_open(p) for p in chosen], labels=[p.parent.name for p in chosen], in_bursts=True)
        yield "grocery", photos
        yield "grocery at 64 px", _small(photos)
    if (ROOT / "clothing").is_dir():
        with (ROOT / "clothing" / "labels.csv").open(encoding="utf-8") as file:
            rows = _spread(list(csv.DictReader(file)), num_photos)
        images = [_open(ROOT / "clothing" / row["path"]) for row in rows]
        yield "clothing", Photos(images=images, labels=[row["label"] for row in rows], in_bursts=True)
        hands = _spread(sorted((ROOT / "hands").glob("*/*.jpg")), num_photos)
        yield "hands, 100 px", Photos(images=[_open(p) for p in hands], labels=[p.parent.name for p in hands])
        table = pq.read_table(ROOT / "cifar10" / "dev.parquet").slice(0, num_photos)
        small = [Image.open(io.BytesIO(data)).convert("RGB").resize((64, 64)) for data in table["image"].to_pylist()]
        yield "CIFAR-10, 32 px", Photos(images=small, labels=[str(label) for label in table["label"].to_pylist()])
    yield from _drawn(num_photos)


def _drawn(num_photos: int) -> Iterator[tuple[str, Photos]]:
    from components.synthesis.builtin.catalog import render_catalog
    from components.synthesis.builtin.classes import CLASSES
    from components.synthesis.builtin.customers.photography import photograph_customers

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        render_catalog(out / "catalog", num_per_class=-(-num_photos // len(CLASSES)), size_px=64, seed=0)
        yield "the demo's catalogue, 64 px", _read(out / "catalog")
        photograph_customers(out / "photos", num_photos=num_photos, size_px=64, seed=0)
        yield "the demo's photos, 64 px", _read(out / "photos")


def _read(folder: Path) -> Photos:
    table = manifest.read(folder, ["image", "label"])
    images = [Image.open(io.BytesIO(image["bytes"])).convert("RGB") for image in table["image"].to_pylist()]
    return Photos(images=images, labels=table["label"].to_pylist())


def _small(photos: Photos) -> Photos:
    images = [image.resize((64, 64), Image.Resampling.BOX) for image in photos.images]
    return Photos(images=images, labels=photos.labels, in_bursts=photos.in_bursts)


def _spread(items: Sequence[Any], num: int) -> list[Any]:
    return [items[i] for i in np.linspace(0, len(items) - 1, min(num, len(items))).astype(int)]


def _open(path: Path) -> Image.Image:
    return Image.open(path).convert("RGB")


def _encoded(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _reencoded(image: Image.Image, rng: np.random.Generator) -> bytes:
    return _encoded(image, int(rng.integers(35, 70)))


def _cropped(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Up to 5% cut off in each direction, and scaled back."""
    width, height = image.size
    cut, left, top = rng.random(3) * 0.03 + 0.02
    box = (width * cut * left * 20, height * cut * top * 20, width * (1 - cut), height * (1 - cut))
    box = (min(box[0], width * cut), min(box[1], height * cut), box[2], box[3])
    return _encoded(image.resize(image.size, Image.Resampling.BICUBIC, box=box), 88)


def _relit(image: Image.Image, rng: np.random.Generator) -> bytes:
    image = ImageEnhance.Brightness(image).enhance(rng.uniform(0.75, 1.25))
    return _encoded(ImageEnhance.Contrast(image).enhance(rng.uniform(0.75, 1.25)), 88)


def _moved(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Shifted by up to 4% and turned by up to 3 degrees, the border filled as a camera would see on."""
    return _encoded(_warped(image, rng, shift=0.04, degrees=3.0, scale=0.0), 88)


def _next_shot(image: Image.Image, rng: np.random.Generator) -> bytes:
    """A hand's move, another exposure, fresh noise: the next shot of a burst."""
    image = _warped(image, rng, shift=0.03, degrees=2.0, scale=0.04)
    pixels = np.asarray(image).astype(np.float64) * rng.uniform(0.9, 1.1)
    noisy = np.clip(pixels + rng.normal(0, 4, pixels.shape), 0, 255).astype(np.uint8)
    return _encoded(Image.fromarray(noisy), 85)


def _warped(image: Image.Image, rng: np.random.Generator, *, shift: float, degrees: float, scale: float) -> Image.Image:
    width, height = image.size
    pad = round(0.15 * max(width, height))
    padded = Image.fromarray(np.pad(np.asarray(image), ((pad, pad), (pad, pad), (0, 0)), mode="reflect"))
    turned = padded.rotate(rng.uniform(-degrees, degrees), Image.Resampling.BICUBIC)
    dx, dy = rng.uniform(-shift, shift, 2) * (width, height)
    grow = rng.uniform(-scale, scale) / 2
    inset_x, inset_y = grow * width, grow * height
    left, top = pad + dx + inset_x, pad + dy + inset_y
    box = (left, top, left + width - 2 * inset_x, top + height - 2 * inset_y)
    return turned.resize((width, height), Image.Resampling.BICUBIC, box=box)


CHANGES: dict[str, Callable[[Image.Image, np.random.Generator], bytes]] = {
    "reencoded": _reencoded,
    "cropped": _cropped,
    "relit": _relit,
    "moved": _moved,
    "next_shot": _next_shot,
}

if __name__ == "__main__":
    for set_name, figures in measure().items():
        told = ", ".join(f"{key} {value:.4g}" for key, value in figures.items())
        sys.stdout.write(f"{set_name}: {told}\n")

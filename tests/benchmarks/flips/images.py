"""The two real data sets as uint8 arrays: CIFAR-10 and the grocery photos, split into train, search and final."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image, ImageOps

from components.core.digests import digest_bytes
from components.core.errors import ConfigError
from components.core.progress import track
from components.training.batches import LabelledPixels

ROOT = Path(__file__).resolve().parents[4] / "shared" / "data"
SEARCH_FROM = 30_000  # rows of CIFAR-10's train part from here on are the search split


@dataclass(frozen=True, kw_only=True)
class Images:
    """Train and search are studied; `final` is asked once a row of the table and chooses nothing."""

    name: str
    train: LabelledPixels
    search: LabelledPixels
    final: LabelledPixels
    classes: tuple[str, ...]
    size_px: int

    @cached_property
    def digest(self) -> str:
        """The digest of all pixels and labels."""
        parts = [part.pixels.tobytes() + part.labels.tobytes() for part in (self.train, self.search, self.final)]
        return digest_bytes(b"".join(parts))

    def with_share(self, share: float) -> Images:
        """The same with only the first `share` of the training images."""
        mask = np.arange(len(self.train)) < round(share * len(self.train))
        return replace(self, name=f"{self.name}, {share:.0%} of the data", train=self.train.where(mask))


def cifar(*, num_train: int, num_search: int, num_final: int) -> Images:
    """CIFAR-10 at 32 px; the final split is the dev part. ConfigError where the search split would be trained on."""
    if num_train > SEARCH_FROM:
        raise ConfigError(f"{num_train} training images would hold the search split; give at most {SEARCH_FROM:,}")
    train, classes = _cifar_part("train", slice(0, num_train))
    search, _ = _cifar_part("train", slice(SEARCH_FROM, SEARCH_FROM + num_search))
    final, _ = _cifar_part("dev", slice(0, num_final))
    return Images(name="CIFAR-10", train=train, search=search, final=final, classes=classes, size_px=32)


def grocery(*, size_px: int, seed: int = 0) -> Images:
    """The phone photos of 81 products: a fifth of the train part is the search split, the val part is final."""
    classes = tuple(sorted(folder.name for folder in (ROOT / "grocery" / "train").iterdir() if folder.is_dir()))
    photos = _grocery_part("train", classes, size_px)
    held_back = np.random.default_rng(seed).random(len(photos)) < 0.2
    return Images(
        name="grocery",
        train=photos.where(~held_back),
        search=photos.where(held_back),
        final=_grocery_part("val", classes, size_px),
        classes=classes,
        size_px=size_px,
    )


def _cifar_part(name: str, rows: slice) -> tuple[LabelledPixels, tuple[str, ...]]:
    table = pq.read_table(ROOT / "cifar10" / f"{name}.parquet", columns=["image", "label", "class"])
    named = dict(zip(table["label"].to_pylist(), table["class"].to_pylist(), strict=True))
    table = table.slice(rows.start, rows.stop - rows.start)
    pixels = [np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) for data in table["image"].to_pylist()]
    labels: NDArray[np.int64] = table["label"].to_numpy().astype(np.int64)
    return LabelledPixels(pixels=np.stack(pixels), labels=labels), tuple(named[index] for index in sorted(named))


def _grocery_part(name: str, classes: tuple[str, ...], size_px: int) -> LabelledPixels:
    pixels, labels = zip(*track(_photos(name, classes, size_px), f"reading {name}"), strict=True)
    return LabelledPixels(pixels=np.stack(pixels), labels=np.array(labels, np.int64))


def _photos(name: str, classes: tuple[str, ...], size_px: int) -> Iterator[tuple[NDArray[np.uint8], int]]:
    for label, class_name in enumerate(classes):
        for path in sorted((ROOT / "grocery" / name / class_name).glob("*.jpg")):
            image = ImageOps.fit(Image.open(path).convert("RGB"), (size_px, size_px), Image.Resampling.BOX)
            yield np.asarray(image), label

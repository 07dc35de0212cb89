"""The peer of pastes: cutting and pasting with PIL, augmenting with albumentations, as one writes it in an afternoon.

`full` makes what Detent's pastes hold: heaps and rows, clutter, shadows, occluders, a camera's faults, the JPEG, the
mask of what is seen, its box and the factors. `plain` is one product on a photo, `white` one on white; neither has
shadows or a camera. All run on Detent's own engine and writer, so that only the making of an image differs.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from components.core.digests import sample_id
from components.synthesis.backgrounds import BACKGROUNDS, Background
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.renders.wraps import straight
from components.synthesis.runs.rows import row_rng
from components.synthesis.runs.shards import fill_shards
from components.synthesis.runs.work import Row
from components.synthesis.stock import Stock

Style = Literal["full", "plain", "white"]
ROWS_PER_SHARD = 512
_MOST_COPIES, _NUM_VARIANTS = 60, 6
_HEAP_SHARE, _CLUTTER_SHARE, _OCCLUDER_SHARE = 0.45, 0.55, 0.3


@dataclass(frozen=True, kw_only=True)
class CompositingJob:
    """Pastes in shards, the classes in turn; pickled once for each worker."""

    cutouts: dict[str, list[Cutout]]
    backgrounds: list[Background]
    style: Style
    size_px: int
    num_images: int
    seed: int

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard."""
        first = shard * ROWS_PER_SHARD
        return [self._row(number) for number in range(first, min(first + ROWS_PER_SHARD, self.num_images))]

    def _row(self, number: int) -> Row:
        rng, labels = row_rng(self.seed, number), sorted(self.cutouts)
        label = labels[number % len(labels)]
        cutout = self.cutouts[label][int(rng.integers(len(self.cutouts[label])))]
        background = self.backgrounds[int(rng.integers(len(self.backgrounds)))]
        factors: dict[str, Any] = {}
        canvas = Image.new("RGB", (self.size_px, self.size_px), "white")
        if self.style != "white":
            canvas = _cropped(background, self.size_px, rng)
        mask = Image.new("L", canvas.size, 0)
        if self.style == "full":
            self._compose(canvas, mask, cutout, label, rng, factors)
        else:
            _lay(canvas, mask, _variant(cutout, self.size_px * float(rng.uniform(0.5, 1.0)), 25, rng), rng, value=255)
        pixels = np.asarray(canvas)
        if self.style == "full":
            pixels = _camera()(image=pixels)["image"]
        return self._described(pixels, mask, cutout, background) | {
            f"f_{name}": value for name, value in factors.items()
        }

    def _compose(
        self, canvas: Any, mask: Any, cutout: Cutout, label: str, rng: np.random.Generator, factors: dict[str, Any]
    ) -> None:
        """Clutter, then the copies with their shadows, then what covers them."""
        size, labels = self.size_px, sorted(self.cutouts)
        for _ in range(int(rng.integers(2, 6)) if rng.random() < _CLUTTER_SHARE else 0):
            other = self.cutouts[labels[int(rng.integers(len(labels)))]][0]
            _lay(canvas, mask, _variant(other, size * float(rng.uniform(0.2, 0.6)), 25, rng), rng, value=0)
        number = 1
        if rng.random() < _HEAP_SHARE:
            number = int(np.exp(rng.uniform(np.log(2), np.log(_MOST_COPIES + 1))))
        side = size * (float(rng.uniform(0.5, 1.15)) if number == 1 else 1.6 / np.sqrt(number))
        variants = [_variant(cutout, side, 25 if number == 1 else 180, rng) for _ in range(min(number, _NUM_VARIANTS))]
        for copy in range(number):
            _lay(canvas, mask, variants[copy % len(variants)], rng, value=255, shadow=True)
        whole = np.asarray(mask).sum()
        if rng.random() < _OCCLUDER_SHARE:
            other = self.cutouts[labels[int(rng.integers(len(labels)))]][0]
            _lay(canvas, mask, _variant(other, size * float(rng.uniform(0.3, 0.6)), 180, rng), rng, value=0)
        hidden = 1 - np.asarray(mask).sum() / max(int(whole), 1)
        factors.update(pile_size=number, scale=side / size, occlusion=float(hidden), label_side_px=float(side))

    def _described(self, pixels: Any, mask: Any, cutout: Cutout, background: Background) -> Row:
        buffer, cover = io.BytesIO(), io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="JPEG", quality=75)
        mask.save(cover, format="PNG", compress_level=1)
        encoded, box = buffer.getvalue(), mask.point(lambda value: 255 * (value > 127)).getbbox()
        return {
            "sample_id": sample_id(encoded),
            "image": {"bytes": encoded, "path": None},
            "label": cutout.label,
            "split": "train",
            "source": "paste",
            "group": cutout.group,
            "parents": [cutout.sample_id, background.sample_id],
            "licence": cutout.licence,
            "width_px": self.size_px,
            "height_px": self.size_px,
            "mask": cover.getvalue(),
            "box": list(box or (0, 0, 0, 0)),
        }


def composite(stock: Stock, style: Style, num_images: int, *, size_px: int, seed: int, out: Path) -> None:
    """Fill the manifest folder `out` with such images."""
    job = CompositingJob(
        cutouts=dict(stock.read(PICTURES).items),
        backgrounds=list(stock.read(BACKGROUNDS).items),
        style=style,
        size_px=size_px,
        num_images=num_images,
        seed=seed,
    )
    recipe = {"generator": "compositing", "style": style, "size_px": size_px, "num_images": num_images, "seed": seed}
    fill_shards(out, job, recipe=recipe, num_shards=-(-num_images // ROWS_PER_SHARD), title="Compositing")


def _cropped(background: Background, size_px: int, rng: np.random.Generator) -> Any:
    photo = Image.fromarray(background.pixels)
    side = int(min(photo.size) * float(rng.uniform(0.6, 1.0)))
    left, top = int(rng.integers(photo.width - side + 1)), int(rng.integers(photo.height - side + 1))
    crop = photo.resize((size_px, size_px), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return ImageOps.mirror(crop) if rng.random() < 0.5 else crop


def _variant(cutout: Cutout, side_px: float, turn_deg: float, rng: np.random.Generator) -> Any:
    """The product as RGBA, its longer side so long, turned by up to so much."""
    picture = Image.fromarray(_straightened(cutout.levels[0].tobytes(), cutout.levels[0].shape))
    factor = side_px / max(picture.size)
    small = picture.resize((max(1, round(picture.width * factor)), max(1, round(picture.height * factor))))
    return small.rotate(float(rng.uniform(-turn_deg, turn_deg)), Image.Resampling.BILINEAR, expand=True)


@cache
def _straightened(data: bytes, shape: tuple[int, ...]) -> Any:
    return straight(np.frombuffer(data, np.uint8).reshape(shape))


def _lay(canvas: Any, mask: Any, sprite: Any, rng: np.random.Generator, *, value: int, shadow: bool = False) -> None:
    """Paste a sprite anywhere that leaves its middle in the frame, in place, with a soft shadow if asked for."""
    x = int(rng.integers(canvas.width)) - sprite.width // 2
    y = int(rng.integers(canvas.height)) - sprite.height // 2
    cover = sprite.getchannel("A")
    if shadow:
        dark = cover.filter(ImageFilter.GaussianBlur(2)).point(lambda alpha: alpha // 2)
        canvas.paste((0, 0, 0), (x + 2, y + 3), dark)
    canvas.paste(sprite, (x, y), cover)
    mask.paste(value, (x, y), cover)


@cache
def _camera() -> Callable[..., Any]:
    """What a phone does to a picture."""
    os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
    import albumentations

    return albumentations.Compose(
        [
            albumentations.Perspective(scale=(0.02, 0.05), p=0.3),
            albumentations.ColorJitter(brightness=(0.6, 1.3), contrast=(0.8, 1.3), saturation=(0.8, 1.2), hue=0, p=1),
            albumentations.RGBShift(p=0.5),
            albumentations.GaussianBlur(blur_limit=(3, 5), p=0.36),
            albumentations.MotionBlur(blur_limit=(3, 5), p=0.2),
            albumentations.GaussNoise(std_range=(0.002, 0.022), p=0.7),
        ]
    )

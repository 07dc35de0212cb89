"""What a product is pasted on and among: the assets of a run, crops of backgrounds, copies, heaps and clutter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import cv2
import numpy as np

from components.core.errors import DataError
from components.synthesis.backgrounds import Background
from components.synthesis.pastes.arrangement import Layout, Placement
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.layers import Look, Sprite, cut_sprite, lay, unlabelled
from components.synthesis.pastes.occluders import Line, Target
from components.synthesis.pastes.owners import Owners
from components.synthesis.picture.pictures import Pixels

_NOTHING = Sprite(keep=np.full((1, 1, 4), 255, np.uint8), add=np.zeros((1, 1, 4), np.uint8), left=0, top=0)


class Kept(dict[Any, Any]):
    """What a process has drawn and may use again; it travels to other processes empty."""

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """What pastes are made of, in a stable order: cut-outs by class, backgrounds, and these as canvases (H, W, 4).

    `backdrops` keeps what `backdrops.py` draws from the others and the seed.
    """

    cutouts: dict[str, tuple[Cutout, ...]]
    backgrounds: tuple[Background, ...]
    grounds: tuple[Pixels, ...]
    seed: int = 0
    backdrops: Kept = field(default_factory=Kept, repr=False, compare=False)

    def other(self, label: str, rng: np.random.Generator) -> Cutout:
        """A cut-out of another class, where there is one."""
        labels = list(self.cutouts)
        number = int(rng.integers(max(1, len(labels) - 1)))
        if len(labels) > 1 and number >= labels.index(label):
            number += 1
        choices = self.cutouts[labels[number]]
        return choices[int(rng.integers(len(choices)))]


def gather(cutouts: Mapping[str, list[Cutout]], backgrounds: Sequence[Background], *, seed: int = 0) -> Assets:
    """Assets from cut-outs by class and backgrounds; DataError when there are none of either."""
    if not cutouts or not all(cutouts.values()):
        raise DataError("there are no cut-outs to paste for some class; give each class a usable catalogue picture")
    if not backgrounds:
        raise DataError("there are no backgrounds to paste on; give some photos, or none to have them drawn")
    grounds = tuple(_as_canvas(item) for item in backgrounds)
    ordered = {label: tuple(cutouts[label]) for label in sorted(cutouts)}
    named = tuple(replace(item, pixels=item.pixels[:0]) for item in backgrounds)  # the canvases hold the pixels
    return Assets(cutouts=ordered, backgrounds=named, grounds=grounds, seed=seed)


class Crop(NamedTuple):
    """A square of a ground, and whether it is mirrored."""

    top: int
    left: int
    side: int
    mirrored: bool

    def of(self, plane: Pixels, size_px: int, interpolation: int = cv2.INTER_LINEAR) -> Pixels:
        """The square (S, S, ...) of a ground or of what is kept beside it."""
        square = plane[self.top : self.top + self.side, self.left : self.left + self.side]
        part = cv2.resize(square, (size_px, size_px), interpolation=interpolation)
        return np.asarray(cv2.flip(part, 1) if self.mirrored else part)


def draw_crop(ground: Pixels, rng: np.random.Generator) -> Crop:
    """A square of a ground (H, W, ...), mirrored half of the time."""
    height, width = ground.shape[:2]
    side = max(1, int(min(height, width) * float(rng.uniform(0.6, 1.0))))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    return Crop(top, left, side, mirrored=bool(rng.random() < 0.5))


def crop_ground(ground: Pixels, size_px: int, rng: np.random.Generator) -> Pixels:
    """A square of a ground (H, W, 4), mirrored half of the time, scaled to the frame, however small it is."""
    return draw_crop(ground, rng).of(ground, size_px)


def draw_copies(
    canvas: Pixels,
    cutout: Cutout,
    layout: Layout,
    look: Look,
    *,
    line: Line | None = None,
    owners: Owners | None = None,
) -> None:
    """Lay the copies of a layout that are not beyond the line, in place, as the product."""
    size, sprites = look.size_px, [cut_sprite(cutout, variant, look) for variant in layout.variants]
    for x, y, variant in layout.spots:
        sprite = sprites[variant]
        if sprite is not None and (line is None or x * line[0] + y * line[1] <= line[2]):
            lay(canvas, sprite, x * size, y * size, owners=owners, label=cutout.label)


def scatter(canvas: Pixels, label: str, assets: Assets, look: Look, *, owners: Owners | None = None) -> None:
    """Lay a few other products anywhere, in place."""
    assert look.rng is not None, "other products are drawn at random"
    number = int(look.rng.integers(2, 6))
    for x, y, area in look.rng.uniform([0, 0, 0.03], [1, 1, 0.25], (number, 3)).tolist():
        sprite, left, top, other = draw_other(assets, label, look, Target(x, y, area))
        lay(canvas, sprite, left, top, owners=owners, label=other)


def draw_other(assets: Assets, label: str, look: Look, target: Target) -> tuple[Sprite, float, float, str]:
    """Another product that covers a target: its sprite, its place in pixels, and its label."""
    rng = look.rng
    assert rng is not None, "other products are drawn at random"
    turn, mirrored = float(rng.normal(0, 20)), bool(rng.random() < 0.5)
    cutout = assets.other(label, rng)
    scale = min(1.0, max(0.1, math.sqrt(target.area * max(cutout.aspect, 1 / cutout.aspect)) * 1.15))
    sprite = cut_sprite(cutout, Placement(scale=scale, rotation_deg=turn, mirrored=mirrored), look)
    shown = unlabelled(sprite) if sprite is not None else _NOTHING
    return shown, *target.near(rng, look.size_px), cutout.label


def draw_line(rng: np.random.Generator) -> Line:
    """A boundary between heaps: on a side or, more rarely, above, slightly askew; beyond it lies the smaller part."""
    askew, depth = float(rng.normal(0, 0.15)), float(rng.uniform(0.62, 0.85))
    across, along = math.cos(askew), math.sin(askew)
    side = float(rng.random())
    if side < 0.3:
        x, y, limit = along, -across, depth - 1
    elif side < 0.65:
        x, y, limit = across, along, depth
    else:
        x, y, limit = -across, along, depth - 1
    return x, y, limit + along / 2  # it turns about its middle


def beyond(line: Line) -> Line:
    """The same boundary seen from its other side."""
    return -line[0], -line[1], -line[2]


def darken(canvas: Pixels, share: float) -> None:
    """Leave a share of the light, in place; nothing of the product may be on the canvas yet."""
    cv2.convertScaleAbs(canvas, canvas, share, 0.0)


def _as_canvas(background: Background) -> Pixels:
    pixels = background.pixels
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise DataError(f"background {background.sample_id} must be RGB (H, W, 3) with pixels, got {pixels.shape}")
    return np.dstack([pixels, np.zeros(pixels.shape[:2], np.uint8)])

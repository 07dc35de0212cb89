"""Draws what stands or lies behind a product: a background's crop, shelves and heaps of other products, clutter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from components.core.errors import DataError
from components.synthesis.backgrounds import Background
from components.synthesis.pastes.arrangement import Arrangement, Layout, Placement, Spot, heap_layout, row_layout
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.layers import Look, Sprite, cut_sprite, lay, unlabelled
from components.synthesis.pastes.occluders import Line, Target, draw_shelf_edge, draw_wall
from components.synthesis.pictures import Pixels

Behind = Literal["background", "scatter", "shelves", "heaps"]
BEHIND: dict[Arrangement, tuple[tuple[Behind, ...], tuple[float, ...]]] = {
    "single": (("scatter", "shelves", "heaps"), (0.4, 0.3, 0.3)),
    "held": (("shelves", "heaps"), (0.7, 0.3)),
    "row": (("shelves",), (1.0,)),
    "heap": (("heaps",), (1.0,)),
}
_NOTHING = Sprite(keep=np.full((1, 1, 4), 255, np.uint8), add=np.zeros((1, 1, 4), np.uint8), left=0, top=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """What pastes are made of, in a stable order: cut-outs by class, backgrounds, and these as canvases (H, W, 4)."""

    cutouts: dict[str, tuple[Cutout, ...]]
    backgrounds: tuple[Background, ...]
    grounds: tuple[Pixels, ...]

    def other(self, label: str, rng: np.random.Generator, *, boxes: bool = False) -> Cutout:
        """A cut-out of another class where there is one; of a box, where one is found soon."""
        labels = [name for name in self.cutouts if name != label] or [label]
        for _ in range(4 if boxes else 1):
            choices = self.cutouts[labels[int(rng.integers(len(labels)))]]
            chosen = choices[int(rng.integers(len(choices)))]
            if chosen.shape.is_box:
                break
        return chosen


def gather(cutouts: dict[str, list[Cutout]], backgrounds: list[Background]) -> Assets:
    """Assets from cut-outs by class and backgrounds; DataError when there are none of either."""
    if not cutouts or not all(cutouts.values()):
        raise DataError("there are no cut-outs to paste for some class; give each class a usable catalogue picture")
    if not backgrounds:
        raise DataError("there are no backgrounds to paste on; give some photos, or none to have them drawn")
    grounds = tuple(_as_canvas(item) for item in backgrounds)
    ordered = {label: tuple(cutouts[label]) for label in sorted(cutouts)}
    named = tuple(replace(item, pixels=item.pixels[:0]) for item in backgrounds)  # the canvases hold the pixels
    return Assets(cutouts=ordered, backgrounds=named, grounds=grounds)


def crop_ground(ground: Pixels, size_px: int, rng: np.random.Generator) -> Pixels:
    """A square of a ground (H, W, 4), mirrored half of the time, scaled to the frame, however small it is."""
    height, width = ground.shape[:2]
    side = max(1, int(min(height, width) * float(rng.uniform(0.6, 1.0))))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    part = cv2.resize(ground[top : top + side, left : left + side], (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.flip(part, 1) if rng.random() < 0.5 else part)


def draw_behind(canvas: Pixels, kind: Behind, label: str, assets: Assets, look: Look) -> Pixels:
    """The canvas with what lies behind the product of a class drawn on it; a new one where it was turned."""
    rng = look.rng
    assert rng is not None, "surroundings are drawn at random"
    if kind == "scatter":
        _scatter(canvas, label, assets, look)
        return canvas
    darken(canvas, float(rng.uniform(0.25, 0.8)))
    if kind == "shelves":
        _shelves(canvas, label, assets, look)
    elif kind == "heaps":
        _heaps(canvas, label, assets, look)
    else:
        return canvas
    return _turned(canvas, float(rng.normal(0, 9)))


def draw_copies(canvas: Pixels, cutout: Cutout, layout: Layout, look: Look, *, line: Line | None = None) -> None:
    """Lay the copies of a layout that are not beyond the line, in place, as the product."""
    size, sprites = look.size_px, [cut_sprite(cutout, variant, look) for variant in layout.variants]
    for x, y, variant in layout.spots:
        sprite = sprites[variant]
        if sprite is not None and (line is None or x * line[0] + y * line[1] <= line[2]):
            lay(canvas, sprite, x * size, y * size)


def draw_other(assets: Assets, label: str, look: Look, target: Target) -> tuple[Sprite, float, float]:
    """Another product that covers a target: its sprite and place in pixels."""
    rng = look.rng
    assert rng is not None, "other products are drawn at random"
    turn, mirrored = float(rng.normal(0, 20)), bool(rng.random() < 0.5)
    cutout = assets.other(label, rng)
    scale = min(1.0, max(0.1, math.sqrt(target.area * max(cutout.aspect, 1 / cutout.aspect)) * 1.15))
    sprite = cut_sprite(cutout, Placement(scale=scale, rotation_deg=turn, mirrored=mirrored), look)
    return unlabelled(sprite) if sprite is not None else _NOTHING, *target.near(rng, look.size_px)


def draw_heap(canvas: Pixels, cutout: Cutout, look: Look, line: Line | None = None) -> None:
    """Lay a heap of what is not the product, or rows of it, in place; nothing of the product may be there yet."""
    rng, style = look.rng, Placement(scale=1.0)
    assert rng is not None, "heaps are drawn at random"
    number = int(rng.integers(5, 26))
    if cutout.shape.is_box:
        layout = row_layout(cutout, number, float(rng.normal(0, 5)), style, rng)
    else:
        layout = heap_layout(cutout, number, float(rng.uniform(-180, 180)), style, rng)
    spots = tuple(Spot(x, y, variant // 2) for x, y, variant in layout.spots)  # half of the looks will do
    layout = Layout(kind=layout.kind, variants=layout.variants[::2], spots=spots)
    draw_copies(canvas, cutout, layout, look, line=line)
    canvas[..., 3] = 0


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


def _scatter(canvas: Pixels, label: str, assets: Assets, look: Look) -> None:
    assert look.rng is not None
    number = int(look.rng.integers(2, 6))
    for x, y, area in look.rng.uniform([0, 0, 0.03], [1, 1, 0.25], (number, 3)).tolist():
        lay(canvas, *draw_other(assets, label, look, Target(x, y, area)))


def _shelves(canvas: Pixels, label: str, assets: Assets, look: Look) -> None:
    """Two to four shelves; on each, facings of two or three products."""
    rng, size = look.rng, look.size_px
    assert rng is not None
    pitch = float(rng.uniform(0.35, 0.65))
    base = float(rng.uniform(0.2, 1.0)) * pitch
    while base < 1 + pitch:
        x, height = float(rng.uniform(-0.2, 0.0)), pitch * float(rng.uniform(0.72, 0.86))
        while x < 1:
            cutout = assets.other(label, rng, boxes=True)
            tall = height * float(rng.uniform(0.85, 1.0))
            wide = tall * min(cutout.aspect, 2.0)
            sprite = cut_sprite(cutout, Placement(scale=max(wide, wide / cutout.aspect)), look)
            for _ in range(int(rng.integers(2, 6))):
                if sprite is not None:
                    lay(canvas, sprite, (x + wide / 2) * size, (base - wide / cutout.aspect / 2) * size)
                x += wide * 1.03
        draw_shelf_edge(canvas, round(base * size), rng)
        base += pitch
    canvas[..., 3] = 0


def _heaps(canvas: Pixels, label: str, assets: Assets, look: Look) -> None:
    """One heap, or two beside each other with a wall between."""
    assert look.rng is not None
    line = draw_line(look.rng) if look.rng.random() < 0.4 else None
    draw_heap(canvas, assets.other(label, look.rng), look, line)
    if line is not None:
        draw_heap(canvas, assets.other(label, look.rng), look, beyond(line))
        lay(canvas, draw_wall(look, look.rng, line), 0, 0)


def _turned(canvas: Pixels, turn_deg: float) -> Pixels:
    """The canvas turned about its middle, enlarged so that no corner is empty."""
    size = canvas.shape[0]
    angle = np.radians(abs(turn_deg))
    middle = (size - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), turn_deg, float(np.cos(angle) + np.sin(angle)))
    return np.asarray(cv2.warpAffine(canvas, turn, (size, size), borderMode=cv2.BORDER_REFLECT_101))

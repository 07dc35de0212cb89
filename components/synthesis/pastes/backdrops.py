"""Shelves and heaps of other products behind a product: drawn once in a process, then cut anew for every paste.

A backdrop is a function of the assets, the run's seed and its number, whichever process draws it. It shows few
classes, and serves every other class: what lies behind a product never is that product.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import cv2
import numpy as np

from components.synthesis.pastes.arrangement import Arrangement, Layout, Placement, Spot, heap_layout, row_layout
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.layers import Look, cut_sprite, lay
from components.synthesis.pastes.occluders import Line, draw_shelf_edge, draw_wall
from components.synthesis.pastes.owners import Owners
from components.synthesis.pastes.surroundings import (
    Assets,
    beyond,
    crop_ground,
    darken,
    draw_copies,
    draw_crop,
    draw_line,
)
from components.synthesis.picture.pictures import Pixels

Behind = Literal["background", "scatter", "shelves", "heaps"]
Kind = Literal["shelves", "heaps"]
BEHIND: dict[Arrangement, tuple[tuple[Behind, ...], tuple[float, ...]]] = {
    "single": (("scatter", "shelves", "heaps"), (0.4, 0.3, 0.3)),
    "held": (("shelves", "heaps"), (0.7, 0.3)),
    "row": (("shelves",), (1.0,)),
    "heap": (("heaps",), (1.0,)),
}
NUM_BACKDROPS = 128  # of each kind
_KINDS: tuple[Kind, ...] = get_args(Kind)
_SIDE = 1.25  # of a backdrop, in frames: crops are a little larger or smaller than what is shown
_MOST_CLASSES = 10
_SOFT_SHADOW = {"shelves": 0.0, "heaps": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Backdrop:
    """A canvas (S, S, 4), the classes on it that a paste must not be of, and the number of the background behind.

    `owners` say where which product shows, where that is asked for.
    """

    canvas: Pixels
    labels: frozenset[str]
    background: int
    owners: Owners | None


def cut_backdrop(
    assets: Assets, kind: Kind, label: str, *, size_px: int, rng: np.random.Generator, owned: bool = False
) -> tuple[Pixels, int, Owners | None]:
    """A frame (S, S, 4) cut from a backdrop without the class, the number of the background behind it, and owners."""
    first = int(rng.integers(NUM_BACKDROPS))
    for step in range(NUM_BACKDROPS):
        backdrop = _backdrop(assets, kind, (first + step) % NUM_BACKDROPS, size_px, owned)
        if label not in backdrop.labels:
            break
    crop, owners = draw_crop(backdrop.canvas, rng), backdrop.owners
    if owners is not None:
        owners = Owners(crop.of(owners.numbers, size_px, cv2.INTER_NEAREST_EXACT), list(owners.labels))
    return crop.of(backdrop.canvas, size_px), backdrop.background, owners


def _backdrop(assets: Assets, kind: Kind, number: int, size_px: int, owned: bool) -> Backdrop:
    key = kind, number, size_px, owned
    if key not in assets.backdrops:
        assets.backdrops[key] = _drawn(assets, kind, number, size_px, owned)
    kept: Backdrop = assets.backdrops[key]
    return kept


def _drawn(assets: Assets, kind: Kind, number: int, size_px: int, owned: bool) -> Backdrop:
    rng = np.random.default_rng(np.random.SeedSequence([assets.seed, _KINDS.index(kind), number]))
    side, names = round(_SIDE * size_px), list(assets.cutouts)
    most = max(1, min(len(names) // 2, _MOST_CLASSES))
    labels = [names[index] for index in rng.permutation(len(names))[:most]]
    background = int(rng.integers(len(assets.grounds)))
    look = Look(size_px=side, shadow_px=(0, 1), shadow=_SOFT_SHADOW[kind], rng=rng)
    canvas = crop_ground(assets.grounds[background], side, rng)
    darken(canvas, float(rng.uniform(0.25, 0.8)))
    owners = Owners.of_nothing(side) if owned else None
    (_shelves if kind == "shelves" else _heaps)(canvas, assets, labels, look, owners)
    turn_deg = float(rng.normal(0, 9))
    if owners is not None:
        owners.numbers = _turned(owners.numbers, turn_deg, cv2.INTER_NEAREST)
    return Backdrop(
        canvas=_turned(canvas, turn_deg),
        labels=frozenset(labels if len(names) > 1 else ()),
        background=background,
        owners=owners,
    )


def _shelves(canvas: Pixels, assets: Assets, labels: Sequence[str], look: Look, owners: Owners | None) -> None:
    """Two to four shelves in a frame; on each, facings of two or three products."""
    rng, size = look.rng, look.size_px
    assert rng is not None
    pitch = float(rng.uniform(0.3, 0.55))
    base = float(rng.uniform(0.2, 1.0)) * pitch
    while base < 1 + pitch:
        x, height = float(rng.uniform(-0.2, 0.0)), pitch * float(rng.uniform(0.72, 0.86))
        while x < 1:
            cutout = _one_of(assets, labels, rng, boxes=True)
            tall = height * float(rng.uniform(0.85, 1.0))
            wide = tall * min(cutout.aspect, 2.0)
            sprite = cut_sprite(cutout, Placement(scale=max(wide, wide / cutout.aspect)), look)
            for _ in range(int(rng.integers(2, 6))):
                if sprite is not None:
                    middle = (x + wide / 2) * size, (base - wide / cutout.aspect / 2) * size
                    lay(canvas, sprite, *middle, owners=owners, label=cutout.label)
                x += wide * 1.03
        draw_shelf_edge(canvas, round(base * size), rng, owners=owners)
        base += pitch
    canvas[..., 3] = 0


def _heaps(canvas: Pixels, assets: Assets, labels: Sequence[str], look: Look, owners: Owners | None) -> None:
    """One heap, or two beside each other with a wall between."""
    assert look.rng is not None
    line = draw_line(look.rng) if look.rng.random() < 0.4 else None
    _heap(canvas, _one_of(assets, labels, look.rng), look, line, owners)
    if line is not None:
        _heap(canvas, _one_of(assets, labels, look.rng), look, beyond(line), owners)
        lay(canvas, draw_wall(look, look.rng, line), 0, 0, owners=owners)
        canvas[..., 3] = 0


def _heap(canvas: Pixels, cutout: Cutout, look: Look, line: Line | None, owners: Owners | None) -> None:
    """Lay a heap of one product, or rows of it where it is a box, in place."""
    rng, style = look.rng, Placement(scale=1.0)
    assert rng is not None, "heaps are drawn at random"
    number = int(rng.integers(5, 26))
    if cutout.shape.is_box:
        layout = row_layout(cutout, number, float(rng.normal(0, 5)), style, rng)
    else:
        layout = heap_layout(cutout, number, float(rng.uniform(-180, 180)), style, rng)
    spots = tuple(Spot(x, y, variant // 2) for x, y, variant in layout.spots)  # half of the looks will do
    layout = Layout(kind=layout.kind, variants=layout.variants[::2], spots=spots)
    draw_copies(canvas, cutout, layout, look, line=line, owners=owners)
    canvas[..., 3] = 0


def _one_of(assets: Assets, labels: Sequence[str], rng: np.random.Generator, *, boxes: bool = False) -> Cutout:
    """A cut-out of one of the classes; of a box, where one is found soon."""
    for _ in range(4 if boxes else 1):
        choices = assets.cutouts[labels[int(rng.integers(len(labels)))]]
        chosen = choices[int(rng.integers(len(choices)))]
        if chosen.shape.is_box:
            break
    return chosen


def _turned(canvas: Pixels, turn_deg: float, interpolation: int = cv2.INTER_LINEAR) -> Pixels:
    """The canvas turned about its middle, enlarged so that no corner is empty."""
    size = canvas.shape[0]
    angle = math.radians(abs(turn_deg))
    middle = (size - 1) / 2
    turn = cv2.getRotationMatrix2D((middle, middle), turn_deg, math.cos(angle) + math.sin(angle))
    return np.asarray(
        cv2.warpAffine(canvas, turn, (size, size), flags=interpolation, borderMode=cv2.BORDER_REFLECT_101)
    )

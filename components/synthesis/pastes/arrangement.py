"""Decides where copies of a product are in the frame: one alone, one in a hand, rows on shelves, or a heap.

Catalogues show one product, shops show heaps and rows of it. Lengths and places are shares of the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, NamedTuple, get_args

import numpy as np

from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.picture.factors import FactorDraw

Arrangement = Literal["single", "held", "row", "heap"]
ARRANGEMENTS: tuple[Arrangement, ...] = get_args(Arrangement)

_WEIGHTS = {"box": (1.0, 3.0, 1.5, 0.1), "other": (1.0, 0.6, 0.3, 3.0)}  # as ARRANGEMENTS, by shape
_ROW_PITCH, _LEVEL_PITCH = 1.04, 1.22  # of a copy's width and height
_MOST_SCALE = 1.6
_DEPTHS = (-0.5, 0.5)  # of a tilted heap, from far to near: sizes of its variants


class Placement(NamedTuple):
    """One look of a copy: centre, longer side, turn, mirror, width left by a sideways view, keystone.

    Where it is pinned it is laid at this centre alone, and what lies outside the frame need not be drawn.
    """

    scale: float
    x: float = 0.5
    y: float = 0.5
    rotation_deg: float = 0.0
    mirrored: bool = False
    squeeze: float = 1.0
    keystone: tuple[float, float] = (0.0, 0.0)
    pinned: bool = False


class Spot(NamedTuple):
    """Where a copy goes, and in which of the variants."""

    x: float
    y: float
    variant: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Copies of one product, farthest first; `shelves` are the heights of shelf edges under rows."""

    kind: Arrangement
    variants: tuple[Placement, ...]
    spots: tuple[Spot, ...]
    shelves: tuple[float, ...] = ()


def arrange(config: PastesConfig, cutout: Cutout, factors: FactorDraw) -> Layout:
    """Draw how the product of a paste is arranged; pile size, arrangement, scale and turn become factors."""
    shares = factors.meant("arrangement", ARRANGEMENTS, arrangement_shares(config, cutout))
    number = _pile_size(config, sum(shares[2:]) / sum(shares), factors)
    few_or_many = slice(2, 4) if number > 1 else slice(0, 2)
    kind = factors.choice("arrangement", ARRANGEMENTS[few_or_many], shares[few_or_many])
    style = _style(config, cutout, factors)
    if kind == "heap":
        lead = factors.uniform("rotation_deg", -180.0, 180.0)
        return _noted(factors, heap_layout(cutout, number, lead, style, factors.rng))
    if kind == "row":
        lean = factors.uniform("rotation_deg", -8.0, 8.0)
        return _noted(factors, row_layout(cutout, number, lean, style, factors.rng))
    return _lone(config, cutout, "held" if kind == "held" else "single", style, factors)


def arrangement_shares(config: PastesConfig, cutout: Cutout) -> tuple[float, float, float, float]:
    """How often a product comes in each of ARRANGEMENTS; they add up to one."""
    held, row, heap = config.held_probability, config.row_probability, config.heap_probability
    base = (max(0.0, 1 - held - row - heap), held, row, heap)
    if not config.by_shape:
        return base
    weights = _WEIGHTS["box" if cutout.shape.is_box else "other"]
    single, held, row, heap = (share * weight for share, weight in zip(base, weights, strict=True))
    total = single + held + row + heap
    return single / total, held / total, row / total, heap / total


def heap_layout(cutout: Cutout, number: int, lead: float, style: Placement, rng: np.random.Generator) -> Layout:
    """About `number` copies in the frame, lying at will or, where they are long, side by side; the near ones on top."""
    return (_bundle if cutout.shape.is_long else _pile)(cutout, number, lead, style, rng)


def row_layout(cutout: Cutout, number: int, lean: float, style: Placement, rng: np.random.Generator) -> Layout:
    """About `number` upright copies in the frame, on as many shelves as that takes."""
    height = min(1.25, math.sqrt(1 / (number * cutout.aspect * _ROW_PITCH * _LEVEL_PITCH)))
    width = height * cutout.aspect
    look = style._replace(scale=max(height, width), rotation_deg=lean)
    turns = rng.normal(0, 2, 3).tolist()
    variants = tuple(look._replace(rotation_deg=lean + turn) for turn in turns)
    start, shift, pitch = float(rng.uniform(0.5, 1.0)), float(rng.uniform(-1, 0)), width * _ROW_PITCH
    spots, shelves = [], []
    for level in range(int(1 / (height * _LEVEL_PITCH)) + 2):
        base = (start + level * _LEVEL_PITCH) * height
        shelves.append(base)
        along = int(1 / pitch) + 3
        jitter = (rng.normal(0, 0.03, along) * width).tolist()
        picks = rng.integers(0, len(variants), along).tolist()
        spots += [
            Spot(x=(shift + step) * pitch + jitter[step], y=base - height / 2, variant=picks[step])
            for step in range(along)
        ]
    return Layout(kind="row", variants=variants, spots=_seen(spots, width, height), shelves=tuple(shelves))


def _pile(cutout: Cutout, number: int, lead: float, style: Placement, rng: np.random.Generator) -> Layout:
    """Rows of a shaken grid from the far edge to the near one, which a tilted view shows larger."""
    pitch, tilt = 1 / math.sqrt(number), float(rng.uniform(0, 0.3)) if number > 4 else 0.0
    stretch = math.sqrt(max(cutout.aspect, 1 / cutout.aspect))
    size, spin = pitch * stretch * float(rng.uniform(1.25, 1.55)), 180.0 if rng.random() < 0.6 else 30.0
    depths = _DEPTHS if tilt > 0.08 else (0.0,)
    variants = tuple(
        style._replace(
            scale=size * (1 + tilt * depth) * float(rng.uniform(0.92, 1.08)),
            rotation_deg=lead + spin * float(rng.uniform(-1, 1)) if index else lead,
            mirrored=style.mirrored ^ bool(rng.random() < 0.5),
        )
        for index, depth in enumerate(sorted(depths * ((2 if number < 5 else 4) // len(depths))))
    )
    each = len(variants) // len(depths)
    margin, y, odd, spots = 0.3 * size, 1 + 0.3 * size, 0.0, []
    while y > -margin:
        step, depth = pitch * (1 + tilt * (2 * y - 1)), min(max(int(y * len(depths)), 0), len(depths) - 1)
        start, shake, first = (0.5 * odd - 0.27) * step - margin, 0.54 * step, depth * each
        draws = rng.random((math.ceil((1 + 2 * margin) / step - 0.5 * odd), 3)).tolist()
        spots += [
            Spot(start + column * step + across * shake, y + (down - 0.5) * shake, first + int(pick * each))
            for column, (across, down, pick) in enumerate(draws)
        ]
        y, odd = y - 0.95 * step, 1 - odd
    spots.sort(key=itemgetter(1))
    return Layout(kind="heap", variants=variants, spots=tuple(spots))


def _bundle(cutout: Cutout, number: int, lead: float, style: Placement, rng: np.random.Generator) -> Layout:
    """Long copies side by side, their lengths all along one direction, in courses."""
    slender = min(cutout.shape.elongation, 4.0)
    pitch = 1 / math.sqrt(number)
    length, across = pitch * math.sqrt(slender), pitch / math.sqrt(slender)
    axis = math.radians(cutout.shape.axis_deg)
    scale = length * 1.15 * max(abs(math.cos(axis)), abs(math.sin(axis)), 0.7)
    turns = [0.0, *rng.normal(0, 9, 3).tolist()]
    sizes, backs = rng.uniform(0.9, 1.1, 4).tolist(), [False, *(rng.random(3) < 0.3).tolist()]
    variants = tuple(
        style._replace(scale=scale * size, rotation_deg=lead + turn + (180.0 if back else 0.0))
        for turn, size, back in zip(turns, sizes, backs, strict=True)
    )
    angle = math.radians(lead) + (math.pi - axis if style.mirrored else axis)
    cosine, sine = math.cos(angle), math.sin(angle)
    reach = 0.72 + length / 2
    lengthwise, sideways = int(2 * reach / (0.8 * length)) + 1, int(2 * reach / across) + 1
    shakes = rng.uniform(-0.5, 0.5, (lengthwise, sideways, 2)).tolist()
    picks = rng.integers(0, len(variants), (lengthwise, sideways)).tolist()
    spots = []
    for i in range(lengthwise):
        for j in range(sideways):
            u = -reach + (i + 0.8 * shakes[i][j][0]) * 0.8 * length
            v = -reach + (j + shakes[i][j][1]) * across
            spots.append(Spot(x=0.5 + u * cosine - v * sine, y=0.5 + u * sine + v * cosine, variant=picks[i][j]))
    order = np.argsort(rng.random(len(spots))).tolist()
    return Layout(kind="heap", variants=variants, spots=_seen([spots[i] for i in order], length, length))


def _lone(config: PastesConfig, cutout: Cutout, kind: Arrangement, style: Placement, factors: FactorDraw) -> Layout:
    scale = _lone_scale(config, cutout, kind, factors)
    turn = factors.uniform("rotation_deg", -config.rotation_deg, config.rotation_deg)
    slack = 0.06 if kind == "held" else 0.1 + max(0.0, 0.5 - scale / 2)
    x = 0.5 + slack * factors.uniform("offset_x", -1.0, 1.0)
    y = 0.5 + slack * factors.uniform("offset_y", -1.0, 1.0)
    placement = style._replace(x=x, y=y, pinned=True, scale=scale, rotation_deg=turn)
    return Layout(kind=kind, variants=(placement,), spots=(Spot(x=x, y=y, variant=0),))


def _lone_scale(config: PastesConfig, cutout: Cutout, kind: Arrangement, factors: FactorDraw) -> float:
    """The longer side: from the real height and the drawn width of view where the height is known."""
    if cutout.height_m is not None:
        longer_m = cutout.height_m * max(1.0, cutout.aspect)
        scale = min(_MOST_SCALE, max(0.08, longer_m / factors.log_uniform("view_m", *config.view_m)))
        factors.note("scale", scale)
        return scale
    low, high = config.scale
    return factors.uniform("scale", low if kind == "single" else (low + high) / 2, high)


def _pile_size(config: PastesConfig, share: float, factors: FactorDraw) -> int:
    """How many copies: one, or a size of which small ones are likelier; one draw, so that it can be aimed at."""
    if share <= 0:
        factors.note("pile_size", 1)
        return 1
    low, high = math.log(config.pile_size[0]), math.log(config.pile_size[1] + 0.99)
    least = max(high - (high - low) / share, -600.0)
    number = max(1, int(factors.log_uniform("pile_size", math.exp(least), math.exp(high)) + 1e-9))
    number = number if number >= config.pile_size[0] else 1
    factors.note("pile_size", number)
    return number


def _style(config: PastesConfig, cutout: Cutout, factors: FactorDraw) -> Placement:
    """How the product is seen, whatever its place: mirrored or not, from the side, from above or below."""
    rng = factors.rng
    keystone = factors.uniform("perspective", 0.0, config.perspective)
    angle = 2 * math.pi * float(rng.random())
    mirrored = bool(rng.random() < config.flip_probability) and not (config.by_shape and cutout.shape.is_box)
    return Placement(
        scale=1.0,
        mirrored=mirrored,
        squeeze=1 - float(rng.random()) * 1.4 * keystone,
        keystone=(keystone * math.cos(angle), keystone * math.sin(angle)),
    )


def _noted(factors: FactorDraw, layout: Layout) -> Layout:
    factors.note("scale", max(variant.scale for variant in layout.variants))
    return layout


def _seen(spots: list[Spot], width: float, height: float) -> tuple[Spot, ...]:
    """The spots whose copies reach into the frame by more than a sliver."""
    across, down = 0.42 * width, 0.42 * height
    return tuple(s for s in spots if -across < s.x < 1 + across and -down < s.y < 1 + down)

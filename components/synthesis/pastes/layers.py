"""Turns cut-outs into sprites and lays them on a canvas, in 8-bit arithmetic on the touched region alone.

A canvas is (S, S, 4) uint8: RGB, and in the fourth plane how much of each pixel is the product. A sprite is a
factor and a summand for each of the four, `canvas = canvas * keep / 255 + add`: what it covers, the shadow that
it casts and the mask are one multiplication and one sum. A sprite is made once and laid many times.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from components.synthesis.pastes.arrangement import Placement
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.owners import Owners
from components.synthesis.picture.pictures import Pixels

_LEAST_LIT_PX = 30  # on smaller copies uneven light does not show
_Triple = tuple[float, float, float]
_Map = tuple[_Triple, _Triple, _Triple]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sprite:
    """What laying it does to each pixel; `left` and `top` lie relative to the middle of the copy."""

    keep: Pixels
    add: Pixels
    left: int
    top: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the sprites of one scene share: frame, shadow (pixels, darkness), softness of edges, uneven light.

    With an `rng`, each sprite is lit unevenly, with log factors spread by `falloff`.
    """

    size_px: int
    shadow_px: tuple[int, int] = (0, 0)
    shadow: float = 0.0
    edge_px: int = 0
    falloff: float = 0.0
    rng: np.random.Generator | None = None


def cut_sprite(cutout: Cutout, placement: Placement, look: Look) -> Sprite | None:
    """The cut-out as seen with the placement; None where less than two pixels of it would be left."""
    level = _level(cutout, placement.scale * look.size_px)
    mapping = _mapping(cutout.aspect, level, placement, look.size_px)
    reach = max(2, round(placement.scale * look.size_px / 14)) if look.shadow else 0
    window = _window(_corners(mapping, level), placement, look.size_px, reach)
    left, top, right, bottom = window
    if right - left < 2 or bottom - top < 2:
        return None
    layer = _toned(_drawn(level, mapping, window), look)
    return as_sprite(layer, look, reach, corner=(left, top))


def as_sprite(layer: Pixels, look: Look, reach: int = 0, *, corner: tuple[int, int] = (0, 0)) -> Sprite:
    """A premultiplied RGBA layer as a sprite with its shadow, blurred over `reach` pixels."""
    alpha = cv2.extractChannel(layer, 3)
    left = cv2.bitwise_not(alpha)
    shaded = _shaded(left, alpha, look, reach) if look.shadow and reach else left
    return Sprite(keep=cv2.merge([shaded, shaded, shaded, left]), add=layer, left=corner[0], top=corner[1])


def unlabelled(sprite: Sprite) -> Sprite:
    """The sprite made, in place, that of something which is not the product: it adds nothing to the mask."""
    sprite.add[..., 3] = 0
    return sprite


def lay(
    canvas: Pixels, sprite: Sprite, x: float, y: float, *, owners: Owners | None = None, label: str | None = None
) -> None:
    """Lay a sprite on the canvas, in place, with the middle of the copy at (x, y) pixels.

    `owners` are told of it, where there are any; `label` is that of the product that it shows.
    """
    touched = _touched(canvas, sprite, x, y)
    if touched is not None:
        place, keep, add = touched
        part = canvas[place]
        cv2.multiply(part, keep, part, 1 / 255)
        cv2.add(part, add, part)
        if owners is not None:
            owners.cover(place, keep[..., 3], label)


def amount(canvas: Pixels) -> float:
    """How much of the product a canvas shows, in 255ths of a pixel."""
    return float(cv2.sumElems(canvas)[3])


def amount_hidden(canvas: Pixels, sprite: Sprite, x: float, y: float) -> float:
    """How much of the product an unlabelled sprite would hide at (x, y) pixels; the canvas is left as it is."""
    touched = _touched(canvas, sprite, x, y)
    if touched is None:
        return 0.0
    place, keep, _ = touched
    part = canvas[place]
    return amount(part) - amount(cv2.multiply(part, keep, scale=1 / 255))


def _touched(canvas: Pixels, sprite: Sprite, x: float, y: float) -> tuple[tuple[slice, slice], Pixels, Pixels] | None:
    """Where a sprite touches the canvas, and the sprite's keep and add there; None where it does not."""
    keep, add = sprite.keep, sprite.add
    height, width = keep.shape[:2]
    left, top = round(x) + sprite.left, round(y) + sprite.top
    right, bottom = left + width, top + height
    if left < 0 or top < 0 or right > canvas.shape[1] or bottom > canvas.shape[0]:
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(right, canvas.shape[1]), min(bottom, canvas.shape[0])
        if x0 >= x1 or y0 >= y1:
            return None
        keep, add = keep[y0 - top : y1 - top, x0 - left : x1 - left], add[y0 - top : y1 - top, x0 - left : x1 - left]
        left, top, right, bottom = x0, y0, x1, y1
    return (slice(top, bottom), slice(left, right)), keep, add


def _level(cutout: Cutout, side_px: float) -> Pixels:
    """The smallest stored size that is not smaller than what is asked for: no aliasing, little work."""
    chosen = cutout.levels[0]
    for level in cutout.levels[1:]:
        if max(level.shape[:2]) >= side_px:
            chosen = level
    return chosen


def _mapping(aspect: float, level: Pixels, placement: Placement, size_px: int) -> _Map:
    """The 3 x 3 map from the level's pixels to pixels of the frame, relative to the middle of the copy."""
    height, width = level.shape[:2]
    side = placement.scale * size_px
    wide, high = side * min(aspect, 1.0) * placement.squeeze, side * min(1 / aspect, 1.0)
    across, down = (-wide if placement.mirrored else wide) / width, high / height
    along, upward = placement.keystone[0] / width, placement.keystone[1] / height
    middle_x, middle_y = width / 2 - 0.5, height / 2 - 0.5
    angle = math.radians(placement.rotation_deg)
    cosine, sine = math.cos(angle), math.sin(angle)
    return (
        (cosine * across, -sine * down, -cosine * across * middle_x + sine * down * middle_y),
        (sine * across, cosine * down, -sine * across * middle_x - cosine * down * middle_y),
        (along, upward, 1 - along * middle_x - upward * middle_y),
    )


def _corners(mapping: _Map, level: Pixels) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of the level where the map takes it."""
    height, width = level.shape[:2]
    (a, b, c), (d, e, f), (g, h, i) = mapping
    xs, ys = [], []
    for u, v in ((-0.5, -0.5), (width - 0.5, -0.5), (-0.5, height - 0.5), (width - 0.5, height - 0.5)):
        depth = g * u + h * v + i
        xs.append((a * u + b * v + c) / depth)
        ys.append((d * u + e * v + f) / depth)
    return min(xs), min(ys), max(xs), max(ys)


def _window(
    corners: tuple[float, float, float, float], placement: Placement, size_px: int, reach: int
) -> tuple[int, int, int, int]:
    """The whole pixels of a copy and its shadow, cut to what any place of its middle in the frame can show."""
    grow = 1 + reach
    left, top = math.floor(corners[0]) - grow, math.floor(corners[1]) - grow
    right, bottom = math.ceil(corners[2]) + grow, math.ceil(corners[3]) + grow
    if not placement.pinned:  # its middle may lie half a frame beyond the frame
        far = size_px + size_px // 2
        return max(left, -far), max(top, -far), min(right, far), min(bottom, far)
    x, y = round(placement.x * size_px), round(placement.y * size_px)
    return max(left, -x), max(top, -y), min(right, size_px - x), min(bottom, size_px - y)


def _drawn(level: Pixels, mapping: _Map, window: tuple[int, int, int, int]) -> Pixels:
    left, top, right, bottom = window
    (a, b, c), (d, e, f), (g, h, i) = mapping
    moved = np.array(
        ((a - left * g, b - left * h, c - left * i), (d - top * g, e - top * h, f - top * i), (g, h, i)), np.float64
    )
    return np.asarray(cv2.warpPerspective(level, moved, (right - left, bottom - top), flags=cv2.INTER_LINEAR))


def _toned(layer: Pixels, look: Look) -> Pixels:
    """The layer with its edge softened and light falling off over it, as the look asks; both are one factor."""
    light = None
    if look.rng is not None and look.falloff and layer.shape[1] > _LEAST_LIT_PX:
        light = _light(layer, look.falloff, look.rng)
    if look.edge_px:
        cover = _thinned(layer, look.edge_px)
        shown = cover if light is None else cv2.multiply(cover, light, scale=1 / 255)
        factor = cv2.merge([shown, shown, shown, cover])
    elif light is not None:
        factor = cv2.cvtColor(light, cv2.COLOR_GRAY2RGBA)  # coverage is multiplied by one
    else:
        return layer
    return np.asarray(cv2.multiply(layer, factor, layer, 1 / 255))


def _thinned(layer: Pixels, edge_px: int) -> Pixels:
    """A factor that thins a layer's edge out over some pixels; what lies deeper stays as it is."""
    size = 2 * edge_px + 1
    return np.asarray(cv2.blur(cv2.extractChannel(layer, 3), (size, size), borderType=cv2.BORDER_REPLICATE))


def _light(layer: Pixels, falloff: float, rng: np.random.Generator) -> Pixels:
    """Light that falls off over one copy; it is only taken away, so that colour never exceeds coverage."""
    nw, ne, sw, se = (int(255 * math.exp(-falloff * abs(draw))) for draw in rng.standard_normal(4).tolist())
    return np.asarray(cv2.resize(np.array(((nw, ne), (sw, se)), np.uint8), layer.shape[1::-1]))


def _shaded(left: Pixels, alpha: Pixels, look: Look, reach: int) -> Pixels:
    """What is left of the ground beside the copy's coverage and below the shadow that it casts.

    A wide shadow has no detail, so it is blurred on a coarser grid.
    """
    step = max(1, min(round(reach / 3), *alpha.shape))
    size = (3, 3) if step > 1 else (reach, reach)
    coarse = np.ascontiguousarray(alpha[step // 2 :: step, step // 2 :: step]) if step > 1 else alpha
    light = cv2.convertScaleAbs(cv2.blur(cv2.blur(coarse, size), size), alpha=-look.shadow, beta=255.0)
    if step > 1:
        light = cv2.resize(light, alpha.shape[::-1])
    (right, down), (height, width) = look.shadow_px, alpha.shape
    shaded = left.copy()
    if abs(right) < width and abs(down) < height:
        onto = slice(max(down, 0), height + min(down, 0)), slice(max(right, 0), width + min(right, 0))
        falls = light[max(-down, 0) : height - max(down, 0), max(-right, 0) : width - max(right, 0)]
        shaded[onto] = cv2.multiply(left[onto], falls, scale=1 / 255)
    return shaded

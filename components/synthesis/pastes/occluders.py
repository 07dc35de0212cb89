"""Makes what comes between the camera and a product: a hand, a crate's or shelf's edge, a price tag, more products."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, get_args

import cv2
import numpy as np

from components.synthesis.pastes.hands import NUM_HANDS, SIDE_PX, SLOT_PX, Part, hand
from components.synthesis.pastes.layers import Look, Sprite, as_sprite, unlabelled
from components.synthesis.pastes.owners import Owners
from components.synthesis.picture.pictures import Pixels

Occluder = Literal["product", "hand", "bar", "tag"]
OCCLUDERS: tuple[Occluder, ...] = get_args(Occluder)
OCCLUDER_SHARES = (0.35, 0.3, 0.23, 0.12)
_Map = tuple[tuple[float, float, float], tuple[float, float, float]]
_Colour = tuple[float, float, float]
_MOST_HAND = 1.5  # of a hand's picture, as share of the frame
MARGIN = 0.35  # what covers a product is drawn so far beyond the frame, in frames, and can be moved by as much
_PAPERS: tuple[_Colour, ...] = ((245, 245, 240), (250, 225, 60), (220, 40, 40), (40, 90, 200))
_PLASTICS: tuple[_Colour, ...] = ((28, 28, 30), (120, 120, 122), (215, 215, 210), (40, 90, 50), (140, 100, 60))
Line = tuple[float, float, float]  # (x, y) is beyond where x * line[0] + y * line[1] > line[2], in shares of the frame


class Target(NamedTuple):
    """What an occluder is to cover: around a place, about so much of the frame's area (shares of the frame)."""

    x: float
    y: float
    area: float

    def near(self, rng: np.random.Generator, size_px: int) -> tuple[float, float]:
        """A place in pixels, not far from the middle of the target."""
        spread = 0.12 + 0.3 * math.sqrt(self.area)
        return (self.x + spread * float(rng.normal())) * size_px, (self.y + spread * float(rng.normal())) * size_px


def draw_hand(look: Look, rng: np.random.Generator, target: Target) -> Sprite:
    """A hand that reaches in."""
    size = look.size_px
    chosen, zoom = hand(int(rng.integers(NUM_HANDS))), 0.25 + 1.3 * math.sqrt(target.area)
    mirrored, turn = bool(rng.random() < 0.5), float(rng.uniform(-50, 30))
    placed = _placed(zoom * size / SIDE_PX, turn, mirrored, target.near(rng, size))
    return _laid(chosen.whole, placed, look, reach=max(2, size // 32), margin=MARGIN)


def grip(look: Look, *, width: float, turn_deg: float, centre: tuple[float, float]) -> tuple[Sprite, Sprite]:
    """A hand around a product of a width and a turn at a centre, in pixels: what lies behind it and in front."""
    rng, size = look.rng, look.size_px
    assert rng is not None, "a grip is drawn at random"
    chosen = hand(int(rng.integers(NUM_HANDS)))
    zoom = min(width / SLOT_PX, _MOST_HAND * size / SIDE_PX)
    placed = _placed(zoom, turn_deg + float(rng.normal(0, 6)), bool(rng.random() < 0.25), centre)
    behind = _laid(chosen.behind, placed, look, reach=0)
    return behind, _laid(chosen.front, placed, look, reach=max(2, size // 40))


def draw_bar(look: Look, rng: np.random.Generator, target: Target) -> Sprite:
    """A strip across the frame, as a shelf's edge or a crate's rim."""
    angle = float(rng.normal(0, 0.12)) + (math.pi / 2 if rng.random() < 0.25 else 0.0)
    width = min(0.35, max(0.04, target.area * float(rng.uniform(0.9, 1.5))))
    return _strip(look, rng, target.near(rng, look.size_px), (angle, width), margin=MARGIN)


def draw_wall(look: Look, rng: np.random.Generator, line: Line) -> Sprite:
    """The rim of a crate's wall along a line."""
    off = line[2] - (line[0] + line[1]) / 2  # of the line from the frame's middle, along its normal
    x, y = 0.5 + off * line[0], 0.5 + off * line[1]
    angle = math.atan2(line[1], line[0]) + math.pi / 2
    return _strip(look, rng, (x * look.size_px, y * look.size_px), (angle, float(rng.uniform(0.04, 0.12))))


def draw_tag(look: Look, rng: np.random.Generator, target: Target) -> Sprite:
    """A price tag or a label with lines of print."""
    size = look.size_px
    (x, y), turn, flat = target.near(rng, size), float(rng.normal(0, 10)), float(rng.uniform(1.3, 1.9))
    side, reach = size * max(0.12, math.sqrt(target.area)), max(2, size // 40)
    wide, high = side * flat, side / flat
    half = math.ceil(math.hypot(wide, high) / 2) + 2 * reach
    layer, paper = np.zeros((2 * half, 2 * half, 4), np.uint8), _PAPERS[int(rng.integers(len(_PAPERS)))]
    _field(layer, (half, half), (wide, high), turn, paper)
    ink = (25, 25, 25) if sum(paper) > 360 else (250, 250, 250)
    across, down = -math.sin(math.radians(turn)), math.cos(math.radians(turn))
    for row, share in enumerate(rng.uniform(0.3, 0.8, 3).tolist()):
        off = high * (row - 1) * 0.27
        middle = half + across * off, half + down * off
        _field(layer, middle, (wide * share, high * (0.16 if row else 0.08)), turn, ink)
    return unlabelled(as_sprite(layer, look, reach, corner=(round(x) - half, round(y) - half)))


def draw_shelf_edge(canvas: Pixels, top: int, rng: np.random.Generator, *, owners: Owners | None = None) -> None:
    """The front edge of a shelf from row `top` downwards, with price tags, on the canvas in place."""
    size = canvas.shape[0]
    high = max(2, round(size * float(rng.uniform(0.03, 0.07))))
    first, last = max(0, top), min(size, top + high)
    if first >= last:
        return
    if owners is not None:
        owners.numbers[first:last] = 0
    canvas[first:last] = (*(min(255, int(0.9 * value)) for value in _plastic(rng)), 0)
    canvas[first : first + 1, :, :3] = np.uint8(235) if rng.random() < 0.5 else np.uint8(30)
    for left in rng.integers(0, size, int(rng.integers(0, 4))).tolist():
        canvas[first:last, left : left + 2 * high] = (240, 238, 228, 0)
        canvas[first + 1 : last : 2, left + 1 : left + high] = (60, 55, 50, 0)


def _strip(
    look: Look,
    rng: np.random.Generator,
    middle: tuple[float, float],
    course: tuple[float, float],
    *,
    margin: float = 0.0,
) -> Sprite:
    """A strip through a point in pixels; its course is an angle in radians and a width as share of the frame."""
    size, colour, width, reach = look.size_px, _plastic(rng), course[1] * look.size_px, max(2, look.size_px // 32)
    across, along = math.cos(course[0]), math.sin(course[0])
    left, top, right, bottom = _span(middle, (across, along), width / 2 + 2 * reach, look, margin)
    layer = np.zeros((bottom - top, right - left, 4), np.uint8)
    for share, tone, shift in ((1.0, 0.7, 0.0), (0.75, 1.0, -0.08), (0.2, 1.2, -0.3)):
        x, y = middle[0] + along * shift * width - left, middle[1] - across * shift * width - top
        far = 3 * size
        ends = [(int(x + way * across), int(y + way * along)) for way in (-far, far)]
        red, green, blue = (min(255.0, value * tone) for value in colour)
        cv2.line(layer, ends[0], ends[1], (red, green, blue, 255.0), max(1, int(share * width)), cv2.LINE_AA)
    return unlabelled(as_sprite(layer, look, reach, corner=(left, top)))


def _span(
    middle: tuple[float, float], way: tuple[float, float], half: float, look: Look, margin: float
) -> tuple[int, int, int, int]:
    """The whole pixels of a strip within the frame and its margin: left, top, right, bottom; at least one pixel."""
    low, high = round(-margin * look.size_px), round((1 + margin) * look.size_px)
    steep = abs(way[1]) > abs(way[0])
    (u, v), (along, off) = (middle[::-1], way[::-1]) if steep else (middle, way)
    ends, half = [v + (end - u) * off / along for end in (low, high)], half / abs(along)
    first = min(max(math.floor(min(ends) - half), low), high - 1)
    last = max(min(math.ceil(max(ends) + half), high), first + 1)
    return (first, low, last, high) if steep else (low, first, high, last)


def _placed(zoom: float, turn_deg: float, mirrored: bool, centre: tuple[float, float]) -> _Map:
    """The map that puts the middle of a hand's slot at the centre."""
    angle, middle = math.radians(turn_deg), SIDE_PX / 2
    across, down, side = zoom * math.cos(angle), zoom * math.sin(angle), -1 if mirrored else 1
    return (
        (side * across, -down, centre[0] - side * across * middle + down * middle),
        (side * down, across, centre[1] - side * down * middle - across * middle),
    )


def _laid(part: Part, placed: _Map, look: Look, *, reach: int, margin: float = 0.0) -> Sprite:
    """A hand's part where the map takes it, cut to the frame and its margin, as a sprite that is not the product."""
    (a, b, c), (d, e, f) = placed
    c, f = c + a * part.left + b * part.top, f + d * part.left + e * part.top
    high, wide = part.layer.shape[:2]
    left, top = math.floor(c + min(a * wide, 0) + min(b * high, 0)), math.floor(f + min(d * wide, 0) + min(e * high, 0))
    right, bottom = c + max(a * wide, 0) + max(b * high, 0), f + max(d * wide, 0) + max(e * high, 0)
    first, last, grow = round(-margin * look.size_px), round((1 + margin) * look.size_px), 1 + reach
    left, top = max(left - grow, first), max(top - grow, first)
    right, bottom = min(math.ceil(right) + grow, last), min(math.ceil(bottom) + grow, last)
    moved, size = np.array(((a, b, c - left), (d, e, f - top))), (max(right - left, 1), max(bottom - top, 1))
    return unlabelled(as_sprite(cv2.warpAffine(part.layer, moved, size), look, reach, corner=(left, top)))


def _plastic(rng: np.random.Generator) -> _Colour:
    """Colours of crates and shelves: black, grey, white, green, brown."""
    red, green, blue = _PLASTICS[int(rng.integers(len(_PLASTICS)))]
    light = float(rng.uniform(0.7, 1.2))
    return red * light, green * light, blue * light


def _field(layer: Pixels, centre: tuple[float, float], size: tuple[float, float], turn: float, colour: _Colour) -> None:
    corners = cv2.boxPoints((centre, size, turn)).astype(np.int32)
    cv2.fillConvexPoly(layer, corners, (*colour, 255.0), cv2.LINE_AA)

"""Provides what pastes are laid on: photos of a manifest, or drawn rooms, shelves, tabletops and streets.

Drawn backgrounds are pure functions of the seed, so that a project without background photos works too.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import DataError
from components.core.progress import track
from components.synthesis.picture.pictures import Pixels, decode
from components.synthesis.runs.rows import row_rng
from components.synthesis.stock import Asset, Delivery, Doubtful, Source, Stock

Kind = Literal["photo", "room", "shelf", "tabletop", "street"]
_NUM_DRAWN = 60
_MARGIN = 1.3  # short side of a background, as multiple of the frame: room for crops
_Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Background:
    """An RGB picture (H, W, 3) whose sides are at least those of the frame."""

    sample_id: str
    kind: Kind
    licence: str | None
    pixels: Pixels


def read_backgrounds(stock: Stock) -> Delivery[Sequence[Background]]:
    """The photos of the backgrounds manifest, or drawn ones if there is none or it has no rows.

    Photos that cannot be decoded are named as left out; DataError when none is left.
    """
    folder, size_px = stock.backgrounds, stock.terms.size_px
    if folder is None or not manifest.count(folder):
        drawn = [_drawn(number, size_px, stock.terms.seed) for number in range(_NUM_DRAWN)]
        return Delivery(items=drawn, assets=tuple(_asset(item, drawn=True) for item in drawn))
    photos, faults = [], {}
    for row in track(_rows(folder, "licence"), "Reading backgrounds"):
        try:
            photos.append(_photo(row, size_px))
        except DataError as error:
            faults[str(row["sample_id"])] = str(error)
    if not photos:
        raise DataError(f"no background can be used ({next(iter(faults.values()))}); replace them, or name none")
    unread = [
        Asset(sample_id=name, role="background", name="photo", label=None, licence=None, used=False) for name in faults
    ]
    doubtful = [
        Doubtful(sample_id=name, role="background", name=name, label=None, reason=reason)
        for name, reason in faults.items()
    ]
    return Delivery(items=photos, assets=(*map(_asset, photos), *unread), doubtful=tuple(doubtful))


def _stored(stock: Stock) -> Iterator[tuple[str, bytes]]:
    if stock.backgrounds is not None:
        yield from ((row["sample_id"], row["image"]["bytes"]) for row in _rows(stock.backgrounds))


BACKGROUNDS = Source(role="background", read=read_backgrounds, stored=_stored)


def _rows(folder: Path, *more: str) -> Iterator[dict[str, Any]]:
    for batch in manifest.stream(folder, ["sample_id", "image", *more], batch_rows=64):
        yield from batch.to_pylist()


def _asset(item: Background, *, drawn: bool = False) -> Asset:
    return Asset(
        sample_id=item.sample_id, role="background", name=item.kind, label=None, licence=item.licence, drawn=drawn
    )


def _photo(row: dict[str, Any], size_px: int) -> Background:
    short = round(size_px * _MARGIN)
    name = str(row["sample_id"])
    picture = decode(row["image"], name=f"background {name}", max_side_px=short * 4)[..., :3]
    factor = short / min(picture.shape[:2])
    size = max(short, round(picture.shape[1] * factor)), max(short, round(picture.shape[0] * factor))
    pixels = cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA)
    licence = row["licence"]
    return Background(sample_id=name, kind="photo", licence=str(licence) if licence else None, pixels=pixels)


def _drawn(number: int, size_px: int, seed: int) -> Background:
    rng = row_rng(seed, number)
    drawings: dict[Kind, Callable[[int, np.random.Generator], Pixels]]
    drawings = {"room": _room, "shelf": _shelf, "tabletop": _tabletop, "street": _street}
    kind, draw = list(drawings.items())[number % len(drawings)]
    side = round(size_px * _MARGIN)
    pixels = _lit(draw(side, rng), rng)
    return Background(sample_id=sample_id(pixels.tobytes()), kind=kind, licence=None, pixels=pixels)


def _room(side: int, rng: np.random.Generator) -> Pixels:
    """A wall with stripes, a window or pictures, over a floor of boards."""
    canvas = np.full((side, side, 3), _paint(rng, 0.3), np.uint8)
    horizon = int(side * rng.uniform(0.4, 0.8))
    if rng.random() < 0.4:
        _stripes(canvas[:horizon], _paint(rng, 0.3), int(side * rng.uniform(0.04, 0.15)))
    canvas[horizon:] = _paint(rng, 0.5, hue=0.08)
    vanish = rng.uniform(0, side)
    for foot in np.linspace(-side, 2 * side, 24):
        top = vanish + (foot - vanish) * 0.3
        cv2.line(canvas, (int(top), horizon), (int(foot), side), _paint(rng, 0.5, hue=0.08), 1, cv2.LINE_AA)
    for _ in range(rng.integers(2, 6)):
        _panel(canvas, rng, (0, int(horizon * 0.9)), (0.12, 0.4))
    for _ in range(rng.integers(0, 4)):
        _panel(canvas, rng, (int(horizon * 0.7), side), (0.1, 0.3))
    return canvas


def _shelf(side: int, rng: np.random.Generator) -> Pixels:
    """Rows of packages on boards with price strips."""
    canvas = np.full((side, side, 3), _paint(rng, 0.2), np.uint8)
    pitch, top = int(side * rng.uniform(0.25, 0.5)), -int(side * rng.uniform(0, 0.25))
    while top < side:
        left, base = -int(rng.uniform(0, 0.1) * side), top + pitch
        while left < side:
            wide, tall = int(side * rng.uniform(0.06, 0.18)) + 1, int(pitch * rng.uniform(0.5, 0.88))
            colour, band = _paint(rng, 0.7), _paint(rng, 0.7)
            for _ in range(rng.integers(1, 4)):
                cv2.rectangle(canvas, (left, base - tall), (left + wide - 1, base), colour, -1)
                middle = base - int(tall * 0.6)
                cv2.rectangle(canvas, (left + 2, middle), (left + wide - 3, middle + tall // 4), band, -1)
                left += wide
        cv2.rectangle(canvas, (0, base - 2), (side, base + max(2, side // 30)), _paint(rng, 0.2), -1)
        top += pitch
    return canvas


def _tabletop(side: int, rng: np.random.Generator) -> Pixels:
    """A surface seen from above: grain, blotches and a few things lying about."""
    base = np.asarray(_paint(rng, 0.5, hue=0.08 if rng.random() < 0.6 else None), np.float32)
    coarse = rng.normal(0, 1, (rng.integers(2, 24), rng.integers(2, 24))).astype(np.float32)
    grain = cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC) * rng.uniform(4, 22)
    canvas = np.clip(base + grain[..., None], 0, 255).astype(np.uint8)
    for _ in range(rng.integers(0, 6)):
        _panel(canvas, rng, (0, side), (0.08, 0.35))
    return canvas


def _street(side: int, rng: np.random.Generator) -> Pixels:
    """Houses with windows under a sky, and a road with a kerb that runs towards them."""
    canvas = np.full((side, side, 3), _paint(rng, 0.15), np.uint8)
    horizon = int(side * rng.uniform(0.45, 0.7))
    sky = np.linspace(1.0, rng.uniform(1.05, 1.35), horizon)[:, None, None] * np.asarray(_paint(rng, 0.35, hue=0.58))
    canvas[:horizon] = np.clip(sky, 0, 255).astype(np.uint8)
    left = -int(side * rng.uniform(0, 0.2))
    while left < side:
        wide, top = int(side * rng.uniform(0.15, 0.4)) + 2, int(horizon * rng.uniform(0.05, 0.7))
        _house(canvas, (left, top, left + wide, horizon), rng)
        left += wide
    canvas[horizon:] = _paint(rng, 0.08)
    vanish = int(rng.uniform(0.2, 0.8) * side)
    kerb, road = int(rng.uniform(0.1, 0.6) * side), _paint(rng, 0.06)
    feet = [[vanish, horizon], [vanish + 2, horizon], [kerb + 2 * side, side], [kerb, side]]
    cv2.fillConvexPoly(canvas, np.asarray(feet, np.int32), road, cv2.LINE_AA)
    cv2.line(canvas, (vanish, horizon), (kerb, side), _paint(rng, 0.05), max(1, side // 40), cv2.LINE_AA)
    for _ in range(rng.integers(0, 4)):
        _panel(canvas, rng, (int(horizon * 0.9), int((horizon + side) / 2)), (0.1, 0.3))
    return canvas


def _house(canvas: Pixels, box: tuple[int, int, int, int], rng: np.random.Generator) -> None:
    """A front with rows of windows, in place."""
    left, top, right, bottom = box
    cv2.rectangle(canvas, (left, top), (right, bottom), _paint(rng, 0.45, hue=0.07), -1)
    glass, pitch = _paint(rng, 0.3, hue=0.58), max(5, int((right - left) / rng.integers(2, 5)))
    tall = int(pitch * rng.uniform(0.8, 1.5))
    for x in range(left + pitch // 5, right - pitch // 2, pitch):
        for y in range(top + tall // 4, bottom - tall // 2, tall):
            cv2.rectangle(canvas, (x, y), (x + int(pitch * 0.55), y + int(tall * 0.6)), glass, -1)


def _panel(canvas: Pixels, rng: np.random.Generator, span: tuple[int, int], share: tuple[float, float]) -> None:
    """A turned rectangle with an inner field, in place."""
    side = canvas.shape[1]
    centre = float(rng.uniform(0, side)), float(rng.uniform(*span))
    size, turn = side * rng.uniform(*share, 2), float(rng.normal(0, 8))
    for factor in (1.0, 0.8):
        corners = cv2.boxPoints((centre, (float(size[0] * factor), float(size[1] * factor)), turn))
        cv2.fillConvexPoly(canvas, corners.astype(np.int32), _paint(rng, 0.45), cv2.LINE_AA)


def _stripes(canvas: Pixels, colour: _Colour, pitch: int) -> None:
    pitch = max(2, pitch)
    canvas[:, np.arange(canvas.shape[1]) // pitch % 2 == 1] = colour


def _lit(canvas: Pixels, rng: np.random.Generator) -> Pixels:
    """A soft fall of light over the picture, and texture too fine to name."""
    side = canvas.shape[0]
    falls = cv2.resize(rng.uniform(0.55, 1.15, (3, 3)).astype(np.float32), (side, side), interpolation=cv2.INTER_CUBIC)
    texture = rng.normal(0, 5, canvas.shape).astype(np.float32)
    soft = cv2.GaussianBlur(canvas, (0, 0), float(rng.uniform(0.4, 1.6)) * side / 160)
    return np.asarray(np.clip(soft * falls[..., None] + texture, 0, 255), np.uint8)


def _paint(rng: np.random.Generator, saturation: float, *, hue: float | None = None) -> _Colour:
    tone = rng.random() if hue is None else hue + rng.normal(0, 0.02)
    red, green, blue = colorsys.hsv_to_rgb(tone % 1.0, rng.uniform(0, saturation), rng.uniform(0.25, 0.95))
    return int(red * 255), int(green * 255), int(blue * 255)

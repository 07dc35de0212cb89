"""Draws hands that hold a product: a forearm and palm behind it, a thumb and finger tips in front.

Each is drawn once, large, and shaded as round limbs are; pastes scale, turn and mirror it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import cv2
import numpy as np

from components.synthesis.picture.pictures import Pixels

NUM_HANDS = 24
SIDE_PX, SLOT_PX = 160, 60  # of a picture, and the width of the product that this hand holds
_FINE = 2  # drawn this much larger
_Point = tuple[float, float]


class Part(NamedTuple):
    """Premultiplied RGBA cut to what is not empty, and where its left top corner lies in the whole picture."""

    layer: Pixels
    left: int
    top: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hand:
    """What lies behind the product, what lies in front, and both together where there is no product."""

    behind: Part
    front: Part
    whole: Part


@cache
def hand(number: int) -> Hand:
    """One of NUM_HANDS hands, each with its own skin, fingers and grip."""
    rng = np.random.default_rng([20, number])
    skin = np.array([236, 184, 154]) * rng.uniform(0.5, 1.05) ** 0.8 * np.array([1, rng.uniform(0.9, 1.04), 1])
    thick, lower = float(rng.uniform(0.9, 1.25)), float(rng.uniform(-6, 22))
    behind = _blank()
    _limb(behind, [(4, 176), (22, 140 + lower / 2), (44, 108 + lower)], 40 * thick, skin * 0.88)
    _limb(behind, [(40, 112 + lower), (66, 96 + lower)], 42 * thick, skin * 0.92)
    for finger in range(4):
        y = 66 + lower + finger * 13 * thick
        _limb(behind, [(90, y + 6), (112, y), (119, y + 3)], 13 * thick, skin * 0.85)
    front = _blank()
    tilt = float(rng.uniform(-14, 10))
    thumb = [(34.0, 108 + lower), (50.0, 92 + lower + tilt / 2), (64.0 + float(rng.uniform(0, 14)), 84 + lower + tilt)]
    _limb(front, thumb, 17 * thick, skin)
    _nail(front, thumb[-1], 5 * thick, skin)
    inward = float(rng.uniform(-4, 6))
    for finger in range(int(rng.integers(0, 5))):
        y = 66 + lower + finger * 13 * thick + float(rng.uniform(-1.5, 1.5))
        _limb(front, [(120, y + 2), (114 - inward, y + float(rng.uniform(-2, 3)))], 11 * thick, skin * 0.95)
    whole = behind * (1 - front[..., 3:] / 255) + front
    return Hand(behind=_finished(behind), front=_finished(front), whole=_finished(whole))


def _blank() -> np.ndarray:
    return np.zeros((SIDE_PX * _FINE, SIDE_PX * _FINE, 4), np.float32)


def _limb(layer: np.ndarray, points: list[_Point], width: float, colour: np.ndarray) -> None:
    """A bent tube through the points, lit from above left, laid over the layer in place."""
    line, margin = (np.asarray(points) * _FINE).astype(np.int32), round(width * _FINE)
    left, top = np.maximum(line.min(axis=0) - margin, 0)
    right, bottom = np.minimum(line.max(axis=0) + margin, SIDE_PX * _FINE)
    part, solid = layer[top:bottom, left:right], np.zeros((bottom - top, right - left), np.uint8)
    cv2.polylines(solid, [line - (left, top)], False, 255, max(1, round(width * _FINE)), cv2.LINE_AA)
    depth = cv2.distanceTransform((solid > 127).astype(np.uint8), cv2.DIST_L2, 3)
    height = np.sqrt(np.minimum(depth / (width * _FINE / 2), 1))
    slope = cv2.Sobel(cv2.GaussianBlur(height, (0, 0), _FINE * 1.5), cv2.CV_32F, 1, 1, ksize=3)
    shade = (0.72 + 0.32 * height + 0.6 * np.clip(slope, -0.2, 0.2))[..., None]
    cover = (solid.astype(np.float32) / 255)[..., None]
    part *= 1 - cover
    part[..., :3] += np.minimum(colour * shade, 255) * cover
    part[..., 3:] += 255 * cover


def _nail(layer: np.ndarray, tip: _Point, radius: float, skin: np.ndarray) -> None:
    centre = (int((tip[0] + radius * 0.4) * _FINE), int(tip[1] * _FINE))
    axes = (int(radius * _FINE), int(radius * 0.8 * _FINE))
    colour = (*np.clip(skin * 1.08 + 12, 0, 255).tolist(), 255.0)
    cv2.ellipse(layer, centre, axes, -20, 0, 360, colour, -1, cv2.LINE_AA)


def _finished(layer: np.ndarray) -> Part:
    small = cv2.resize(layer, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
    small[..., :3] = np.minimum(small[..., :3], small[..., 3:])
    finished = np.asarray(small + 0.5).astype(np.uint8)
    left, top, width, height = cv2.boundingRect(cv2.extractChannel(finished, 3))
    return Part(np.ascontiguousarray(finished[top : top + height, left : left + width]), left, top)

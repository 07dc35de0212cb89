"""Draws what comes between the camera and a product: a hand, a shelf's edge, another product."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np

from components.synthesis.pictures import Pixels

Occluder = Literal["none", "product", "hand", "bar"]


def draw_hand(size_px: int, rng: np.random.Generator) -> Pixels:
    """Premultiplied RGBA (size, size, 4): a forearm and fingers that reach in from below or from a side."""
    layer = np.zeros((size_px, size_px, 4), np.uint8)
    tone = rng.uniform(0.35, 1.0)
    skin = np.asarray([225, 172, 140], np.float32) * np.float32(tone)
    root = np.array([rng.choice([-0.1, 1.1]), rng.uniform(0.6, 1.1)]) * size_px
    palm = np.array([rng.uniform(0.25, 0.75), rng.uniform(0.65, 0.95)]) * size_px
    width = size_px * rng.uniform(0.14, 0.24)
    _limb(layer, root, palm, width, skin)
    toward = rng.uniform(-0.9, 0.9)
    for finger in range(4):
        start = palm + np.array([(finger - 1.5) * width * 0.28, -width * 0.1])
        angle = -np.pi / 2 + toward + (finger - 1.5) * 0.12
        end = start + np.array([np.cos(angle), np.sin(angle)]) * width * rng.uniform(0.9, 1.4)
        _limb(layer, start, end, width * 0.26, skin * np.float32(0.82))
        _limb(layer, start, end, width * 0.20, skin * np.float32(rng.uniform(0.92, 1.05)))
    return np.asarray(cv2.blur(layer, (3, 3)))


def draw_bar(size_px: int, rng: np.random.Generator) -> Pixels:
    """Premultiplied RGBA (size, size, 4): a strip across the frame, as a shelf's edge or a crate's rim."""
    layer = np.zeros((size_px, size_px, 4), np.uint8)
    middle, angle = rng.uniform([0.0, 0.6], [1.0, 1.0]) * size_px, rng.normal(0, 0.12)
    if rng.random() < 0.25:
        middle, angle = rng.uniform(0.0, 1.0, 2) * size_px, angle + np.pi / 2
    along = np.array([np.cos(angle), np.sin(angle)]) * size_px * 2
    colour = np.float32(rng.uniform(40, 235)) + rng.uniform(-25, 25, 3).astype(np.float32)
    width = size_px * rng.uniform(0.05, 0.16)
    _limb(layer, middle - along, middle + along, width, colour)
    _limb(layer, middle - along, middle + along, width * 0.5, colour * np.float32(rng.uniform(0.7, 1.1)))
    return layer


def _limb(layer: Pixels, start: np.ndarray, end: np.ndarray, width: float, colour: np.ndarray) -> None:
    """A thick line with round ends, fully opaque, in place."""
    rgba = (*np.clip(colour, 0, 255).tolist(), 255.0)
    ends = [(int(point[0]), int(point[1])) for point in (start, end)]
    cv2.line(layer, ends[0], ends[1], rgba, max(1, int(width)), cv2.LINE_AA)

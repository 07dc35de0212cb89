"""Turns a picture and a mask into layers that blend: soft edges, no studio light on them, and smaller sizes.

Edges are pulled inwards by part of a pixel, because the outermost ones hold a share of the background, and
their colour comes from within the product, so that no white fringe shows on a dark ground.
"""

from __future__ import annotations

import cv2
import numpy as np

from components.synthesis.picture.pictures import Pixels, bounding_box

_SMALLEST_PX = 12


def soften(solid: Pixels) -> Pixels:
    """Coverage (H, W) uint8 from a mask of 0 and 255: specks gone, edges soft and drawn inwards."""
    clean = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    soft = cv2.GaussianBlur(clean, (0, 0), 0.9).astype(np.float32)
    return np.asarray(np.clip((soft - 90) * (255 / 150), 0, 255), np.uint8)


def build_levels(rgb: Pixels, alpha: Pixels, *, size_px: int) -> tuple[Pixels, ...]:
    """Premultiplied RGBA cropped to the product: its longer side at most `size_px`, then halved time and again."""
    left, top, right, bottom = bounding_box(alpha)
    crop = (slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1))
    coverage = alpha[crop].astype(np.float32) / 255
    colour = _despill(rgb[crop].astype(np.float32), coverage)
    layer = np.dstack([colour * coverage[..., None], coverage * 255]).round().astype(np.uint8)
    levels = [_resized(layer, min(1.0, size_px / max(layer.shape[:2])))]
    while max(levels[-1].shape[:2]) >= 2 * _SMALLEST_PX:
        levels.append(_resized(levels[-1], 0.5))
    return tuple(levels)


def _despill(colour: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Edge pixels take the colour of the nearest inner ones, weighted by distance."""
    inner = cv2.erode((coverage > 0.9).astype(np.float32), np.ones((3, 3), np.uint8))
    near = cv2.GaussianBlur(inner, (0, 0), 2.0)
    spread = cv2.GaussianBlur(colour * inner[..., None], (0, 0), 2.0) / np.maximum(near, 1e-4)[..., None]
    keep = (inner > 0) | (near < 1e-3)  # far from any inner pixel (thin legs) the own colour is all there is
    return np.where(keep[..., None], colour, spread)


def _resized(layer: Pixels, factor: float) -> Pixels:
    height, width = layer.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(layer, size, interpolation=cv2.INTER_AREA)) if factor < 1 else layer

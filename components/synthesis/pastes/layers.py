"""Lays warped cut-outs and other shapes over a canvas, in 8-bit arithmetic on the touched region alone."""

from __future__ import annotations

import cv2
import numpy as np

from components.synthesis.pastes.arrangement import Placement
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pictures import Pixels

Region = tuple[slice, slice]


def warp(cutout: Cutout, placement: Placement, size_px: int) -> tuple[Pixels, Region] | None:
    """The cut-out as premultiplied RGBA where it falls on the frame, and that region; None outside."""
    level = _level(cutout, placement.scale * size_px)
    corners = _corners(level.shape[1] / level.shape[0], placement, size_px)
    low = np.maximum(np.floor(corners.min(axis=0)) - 1, 0).astype(int)
    high = np.minimum(np.ceil(corners.max(axis=0)) + 2, size_px).astype(int)
    if (high - low < 2).any():
        return None
    height, width = level.shape[:2]
    source = np.asarray([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - np.float32(0.5)
    mapping = cv2.getPerspectiveTransform(source, corners - low.astype(np.float32))
    size = int(high[0] - low[0]), int(high[1] - low[1])
    layer = cv2.warpPerspective(level, mapping, size, flags=cv2.INTER_LINEAR)
    return layer, (slice(int(low[1]), int(high[1])), slice(int(low[0]), int(high[0])))


def lay_over(canvas: Pixels, layer: Pixels, region: Region) -> Pixels:
    """Blend premultiplied RGBA over a region of the RGB canvas, in place; returns its coverage."""
    alpha = cv2.extractChannel(layer, 3)
    part = canvas[region]
    left = cv2.multiply(part, cv2.cvtColor(255 - alpha, cv2.COLOR_GRAY2RGB), scale=1 / 255)
    canvas[region] = cv2.add(left, cv2.cvtColor(layer, cv2.COLOR_RGBA2RGB))
    return alpha


def cast_shadow(canvas: Pixels, layer: Pixels, region: Region, *, shift: tuple[int, int], strength: float) -> None:
    """Darken the canvas where the layer's blurred coverage falls, shifted by (x, y) pixels, in place."""
    size_px, (rows, columns) = canvas.shape[0], region
    reach = max(2, (columns.stop - columns.start + rows.stop - rows.start) // 16)
    top, left = max(rows.start + shift[1] - reach, 0), max(columns.start + shift[0] - reach, 0)
    bottom, right = min(rows.stop + shift[1] + reach, size_px), min(columns.stop + shift[0] + reach, size_px)
    if bottom <= top or right <= left:
        return
    offset = np.asarray([[1, 0, columns.start + shift[0] - left], [0, 1, rows.start + shift[1] - top]], np.float32)
    shade = cv2.warpAffine(cv2.extractChannel(layer, 3), offset, (right - left, bottom - top), flags=cv2.INTER_NEAREST)
    shade = cv2.blur(cv2.blur(shade, (reach, reach)), (reach, reach))
    light = cv2.cvtColor(cv2.convertScaleAbs(shade, alpha=-strength, beta=255.0), cv2.COLOR_GRAY2RGB)
    area = (slice(top, bottom), slice(left, right))
    canvas[area] = cv2.multiply(canvas[area], light, scale=1 / 255)


def _level(cutout: Cutout, side_px: float) -> Pixels:
    """The smallest stored size that is not smaller than what is asked for: no aliasing, little work."""
    chosen = cutout.levels[0]
    for level in cutout.levels[1:]:
        if max(level.shape[:2]) >= side_px:
            chosen = level
    return chosen


def _corners(aspect: float, placement: Placement, size_px: int) -> np.ndarray:
    side = placement.scale * size_px
    half = np.asarray([side * min(aspect, 1.0), side * min(1 / aspect, 1.0)], np.float32) / 2
    unit = np.asarray([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
    points = unit * half + placement.shifts * half * 2
    if placement.mirrored:
        points = points[[1, 0, 3, 2]]
    angle = np.radians(placement.rotation_deg)
    turn = np.asarray([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]], np.float32)
    return (points @ turn.T + np.asarray(placement.centre, np.float32) * size_px).astype(np.float32)

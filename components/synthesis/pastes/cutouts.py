"""Cuts products out of their catalogue pictures and says which cut-outs a person should look at.

A renderer's mask or real transparency is taken as it is. On white, the background is what a flood fill
reaches from the border; elsewhere GrabCut guesses. Edges are soft, and their colour comes from within the
product, so that no white fringe shows on a dark background.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from components.core.errors import DataError
from components.synthesis.pictures import Pixels, bounding_box, decode
from components.synthesis.shards import Row

_WHITE = 238  # darkest channel value that still counts as studio white
_LEAST_SHARE, _LARGEST_SHARE = 0.03, 0.97
_GRABCUT_ROUNDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A product without its background: premultiplied RGBA, full size first, then halved time and again."""

    sample_id: str
    label: str
    group: str
    licence: str | None
    levels: tuple[Pixels, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulCutout:
    """A catalogue picture that was left out, and why."""

    sample_id: str
    label: str
    reason: str


def cut_out(row: Row, *, size_px: int) -> Cutout | DoubtfulCutout:
    """The cut-out of a catalogue row (columns of the manifest), its longer side at most `size_px` pixels."""
    sample, label = str(row["sample_id"]), str(row["label"])
    try:
        picture = decode(row["image"], name=f"sample {sample}", max_side_px=size_px * 2)
        alpha = _given_mask(row, picture, size_px)
    except DataError as error:
        return DoubtfulCutout(sample_id=sample, label=label, reason=str(error))
    if alpha is None:
        alpha = _segment(picture)
    reason = _doubt(alpha)
    if reason:
        return DoubtfulCutout(sample_id=sample, label=label, reason=reason)
    return Cutout(
        sample_id=sample,
        label=label,
        group=str(row.get("group") or sample),
        licence=row.get("licence"),
        levels=_levels(picture, alpha, size_px),
    )


def _given_mask(row: Row, picture: Pixels, size_px: int) -> Pixels | None:
    """The renderer's mask, or the picture's own transparency, where there is one."""
    if row.get("mask"):
        mask = decode({"bytes": row["mask"], "path": None}, name="its mask", max_side_px=size_px * 2)[..., 0]
        if mask.shape != picture.shape[:2]:
            sizes = f"{mask.shape[1]}x{mask.shape[0]} and {picture.shape[1]}x{picture.shape[0]}"
            raise DataError(f"mask and picture differ in shape: {sizes} pixels")
        return mask
    alpha = picture[..., 3]
    return alpha if (alpha < 128).mean() > 0.01 else None


def _segment(picture: Pixels) -> Pixels:
    """Coverage (H, W) uint8 of the product: by flood fill on white, by GrabCut on anything else."""
    rgb = np.ascontiguousarray(picture[..., :3])
    pale = rgb.min(axis=2)
    border = np.concatenate([pale[0], pale[-1], pale[:, 0], pale[:, -1]])
    solid = _flood(pale) if (border >= _WHITE).mean() >= 0.6 else _grab(rgb)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    # the blurred edge is pulled inwards, because the outermost pixels hold a share of the background
    soft = cv2.GaussianBlur(solid, (0, 0), 0.9).astype(np.float32)
    return np.asarray(np.clip((soft - 90) * (255 / 150), 0, 255), np.uint8)


def _flood(pale: Pixels) -> Pixels:
    """255 where no way over near-white pixels leads to the border."""
    white = np.pad((pale >= _WHITE).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(white, None, (0, 0), 2)
    return np.where(white[1:-1, 1:-1] == 2, 0, 255).astype(np.uint8)


def _grab(rgb: Pixels) -> Pixels:
    height, width = rgb.shape[:2]
    inset_x, inset_y = max(1, width // 25), max(1, height // 25)
    if min(height, width) < 8:
        return np.full((height, width), 255, np.uint8)
    mask = np.zeros((height, width), np.uint8)
    cv2.setRNGSeed(0)
    frame = (inset_x, inset_y, width - 2 * inset_x, height - 2 * inset_y)
    cv2.grabCut(rgb, mask, frame, np.zeros((1, 65)), np.zeros((1, 65)), _GRABCUT_ROUNDS, cv2.GC_INIT_WITH_RECT)
    return np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)


def _doubt(alpha: Pixels) -> str | None:
    share = float((alpha > 127).mean())
    if share < _LEAST_SHARE:
        return f"its cut-out is almost empty: {share:.1%} of the picture, at least {_LEAST_SHARE:.0%} expected"
    if share > _LARGEST_SHARE:
        return f"its cut-out fills the picture: {share:.1%}, at most {_LARGEST_SHARE:.0%} expected"
    return None


def _levels(picture: Pixels, alpha: Pixels, size_px: int) -> tuple[Pixels, ...]:
    """Premultiplied RGBA cropped to the product, scaled to `size_px` at most, with its halvings."""
    left, top, right, bottom = bounding_box(alpha)
    crop = (slice(max(top - 1, 0), bottom + 1), slice(max(left - 1, 0), right + 1))
    coverage = alpha[crop].astype(np.float32) / 255
    colour = _despill(picture[crop][..., :3].astype(np.float32), coverage)
    layer = np.dstack([colour * coverage[..., None], coverage * 255]).round().astype(np.uint8)
    shrink = min(1.0, size_px / max(layer.shape[:2]))
    levels = [_resized(layer, shrink)]
    while max(levels[-1].shape[:2]) > 24:
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

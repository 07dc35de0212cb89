"""Says which pixels of a catalogue picture are the product: by flood fill, by GrabCut or by a user's own model.

On white the background is what a flood fill reaches from the border. A second, stricter level keeps the faces
of white cartons, which are a shade darker than the studio; a cast shadow is taken off where it is soft towards
the studio and sharp towards the product.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from components.core.errors import ConfigError, DataError
from components.synthesis.picture.pictures import Pixels

Segmenter = Callable[[Pixels], Pixels]

_WHITE = 238  # darkest channel value that still counts as studio white
_FAINT = 5  # a face this much darker than the studio belongs to the product
_GRABCUT_ROUNDS = 3
_GREYISH = 26  # widest spread of the channels of a shadow
_SHADOW_SHARES = 0.002, 0.2  # of the product's area


def segment(rgb: Pixels) -> Pixels:
    """What is product in an RGB picture (H, W, 3) uint8: 255 or 0 (H, W), before the edges are softened."""
    pale = rgb.min(axis=2)
    border = np.concatenate([pale[0], pale[-1], pale[:, 0], pale[:, -1]])
    if (border >= _WHITE).mean() < 0.6:
        return _grab(rgb)
    solid = _flood(pale >= _WHITE)
    faint = _faint_faces(pale, solid, studio=int(np.median(border)))
    return _without_shadow(rgb, _flood((solid == 0) & ~faint))


def load_segmenter(name: str) -> Segmenter:
    """A user's own model, named "package.module:function"; ConfigError when it is not there or no function.

    The function takes RGB (H, W, 3) uint8 and returns coverage (H, W) uint8, 255 where the product is alone.
    In an installed module of your own, for rembg:

        SESSION = rembg.new_session("isnet-general-use")
        def cover(rgb):
            return rembg.remove(rgb, session=SESSION, only_mask=True)

    and for Segment Anything, whose predictor is asked for what stands in the middle of the picture:

        def cover(rgb):
            predictor.set_image(rgb)
            middle = np.array([[rgb.shape[1] / 2, rgb.shape[0] / 2]])
            masks, scores, _ = predictor.predict(middle, np.array([1]))
            return masks[scores.argmax()].astype(np.uint8) * 255
    """
    module, _, function = name.partition(":")
    if not module or not function.isidentifier():
        raise ConfigError(f'segmenter must read "package.module:function", got {name!r}')
    try:
        found: Any = getattr(importlib.import_module(module), function)
    except (ImportError, TypeError, ValueError) as error:
        raise ConfigError(f"segmenter {name!r} cannot be imported ({error}); install it beside Detent") from error
    except AttributeError as error:
        raise ConfigError(f"segmenter {name!r}: {module} has no function {function}") from error
    if not callable(found):
        raise ConfigError(f"segmenter {name!r} is a {type(found).__name__}, not a function of a picture")
    return _checked(name, found)


def _checked(name: str, model: Segmenter) -> Segmenter:
    """The model with its answers checked; DataError says what is wrong with one, whatever the model raised."""

    def cover(rgb: Pixels) -> Pixels:
        try:
            coverage = model(rgb.copy())
        except Exception as error:
            raise DataError(f"segmenter {name!r} failed: {type(error).__name__}: {error}") from error
        if not isinstance(coverage, np.ndarray):
            raise DataError(f"segmenter {name!r} must return an array, got {type(coverage).__name__}")
        if coverage.shape != rgb.shape[:2] or coverage.dtype != np.uint8:
            got = f"{coverage.dtype} {coverage.shape}"
            raise DataError(f"segmenter {name!r} must return uint8 of shape {rgb.shape[:2]}, got {got}")
        if coverage.any() and coverage.max() <= 1:
            raise DataError(f"segmenter {name!r} must return coverage from 0 to 255, got 1 at most; multiply by 255")
        return coverage

    return cover


def _flood(white: Pixels) -> Pixels:
    """255 where no way over white pixels leads to the border."""
    field = np.pad(white.astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(field, None, (0, 0), 2)
    return np.where(field[1:-1, 1:-1] == 2, 0, 255).astype(np.uint8)


def _faint_faces(pale: Pixels, solid: Pixels, *, studio: int) -> Pixels:
    """True on broad areas beyond `solid` a shade darker than the studio; JPEG's fringes are darker too, but thin."""
    if min(pale.shape) < 16:
        return np.zeros(pale.shape, bool)
    darker = ((cv2.medianBlur(pale, 5) <= studio - _FAINT) & (solid == 0)).astype(np.uint8)
    core = cv2.erode(darker, np.ones((7, 7), np.uint8))
    _, areas = cv2.connectedComponents(darker, connectivity=4)
    return np.isin(areas, np.unique(areas[core > 0]))


def _without_shadow(rgb: Pixels, solid: Pixels) -> Pixels:
    """The mask less a cast shadow: a grey field at the foot that fades into the studio and ends at an edge within."""
    rows = np.flatnonzero(solid.any(axis=1))
    if not rows.size or min(rgb.shape[:2]) < 16:
        return solid
    grey = rgb.mean(axis=2).astype(np.float32)
    spread = rgb.max(axis=2).astype(np.int16) - rgb.min(axis=2)
    steep = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=1 / 8), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=1 / 8))
    foot = np.arange(len(solid))[:, None] > rows[-1] - 0.5 * (rows[-1] - rows[0])
    smooth = (solid > 0) & (spread <= _GREYISH) & (steep < 14) & foot
    number, fields = cv2.connectedComponents(smooth.astype(np.uint8), connectivity=4)
    result, area = solid.copy(), float((solid > 0).sum())
    for field in (fields == index for index in range(1, number)):
        if not _SHADOW_SHARES[0] <= field.sum() / area <= _SHADOW_SHARES[1]:
            continue
        if _sticks_out(field, solid) and _fades_out(field, solid, grey, steep):
            grown = cv2.dilate(field.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            result[grown & (spread <= _GREYISH)] = 0
    return result


def _sticks_out(field: Pixels, solid: Pixels) -> bool:
    """Whether most of a field lies beyond the convex hull of the rest of the product."""
    rest = np.argwhere((solid > 0) & ~field)[:, ::-1].astype(np.int32)
    if len(rest) < 3:
        return False
    hull = np.zeros(solid.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(rest), 1)
    return float((hull[field] == 0).mean()) > 0.5


def _fades_out(field: Pixels, solid: Pixels, grey: Pixels, steep: Pixels) -> bool:
    """Whether a field is pale and flat where it meets the studio, dark and steep where it meets the product."""
    ring = (cv2.dilate(field.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & ~field
    outer, inner = ring & (solid == 0), ring & (solid > 0)
    if outer.sum() < 8 or inner.sum() < 8:
        return False
    brink = (cv2.dilate(outer.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0) & field
    wide = float(np.percentile(grey[field], 95) - np.percentile(grey[field], 5)) > 40
    return wide and float(grey[brink].mean()) > 215 and float(np.median(steep[inner])) > 12


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

"""Fits a product's light, colour and contrast in part to the background that it is laid on.

Cut-outs come from a studio's even, neutral light. A curve for each channel takes a share of the way to the
background's mean colour, brightness and contrast; all curves start at zero, so that transparency stays so.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.picture.pictures import Pixels

_MIDDLE, _SPREAD = 110.0, 52.0  # brightness and contrast of an ordinary photo
_BRIGHTNESS_SHARE, _TINT_SHARE, _CONTRAST_SHARE = 0.5, 0.5, 0.4  # of the way at strength one
_LOG_STEPS = np.log(np.maximum(np.arange(256), 1e-3) / 255)
_SAME = np.arange(256, dtype=np.uint8)[:, None]
_GAMMA_STEPS = 128  # curves are kept for this many strengths of contrast per unit


def harmonise(cutout: Cutout, canvas: Pixels, strength: float, *, sides_px: tuple[float, float]) -> Cutout:
    """The cut-out with its colours fitted to the canvas, a background in its first three planes (RGB).

    Strength 0 changes nothing, 1 the most. Only the levels that copies with longer sides from `sides_px[0]` to
    `sides_px[1]` pixels ask for are kept.
    """
    table, levels = _tone_table(canvas, cutout, strength), cutout.levels
    while len(levels) > 1 and max(levels[1].shape[:2]) >= sides_px[1]:
        levels = levels[1:]
    while len(levels) > 1 and max(levels[-1].shape[:2]) < sides_px[0]:
        levels = levels[:-1]
    return replace(cutout, levels=tuple(np.asarray(cv2.LUT(level, table)) for level in levels))


def _tone_table(canvas: Pixels, cutout: Cutout, strength: float) -> Pixels:
    """Curves (256, 1, 4) uint8 for premultiplied RGBA; the last leaves coverage as it is."""
    mean, spread = (value.ravel().tolist()[:3] for value in cv2.meanStdDev(canvas[::4, ::4]))
    light = max(sum(mean) / 3, 1.0)
    step = round(_between(sum(spread) / 3 / _SPREAD, 0.7, 1.6) ** (_CONTRAST_SHARE * strength) * _GAMMA_STEPS)
    bright = _between(light / _MIDDLE, 0.45, 1.5) ** (_BRIGHTNESS_SHARE * strength)
    curve, gamma, curves = _curve(step), step / _GAMMA_STEPS, []
    for channel, colour in zip(mean, _mean_colour(cutout), strict=True):
        pivot = _between(colour / 255, 0.05, 0.95)  # contrast turns around the product's own colour
        tint = _between(channel / light, 0.5, 1.6) ** (_TINT_SHARE * strength)
        curves.append(cv2.convertScaleAbs(curve, alpha=255 * bright * tint * pivot ** (1 - gamma)))
    return np.asarray(cv2.merge([*curves, _SAME]))


@cache
def _curve(step: int) -> NDArray[np.float64]:
    """Levels (256, 1), 1 for white, raised to a power of step / steps."""
    return np.asarray(np.exp(step / _GAMMA_STEPS * _LOG_STEPS))[:, None]


def _mean_colour(cutout: Cutout) -> list[float]:
    *colour, coverage = cv2.mean(cutout.levels[-1])
    return [value * 255 / max(coverage, 1.0) for value in colour]


def _between(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)

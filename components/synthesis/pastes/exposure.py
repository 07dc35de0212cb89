"""Gives a composed picture its exposure, colour cast, blur and sensor noise, in that order."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from components.synthesis.config import SynthesisConfig
from components.synthesis.pictures import Pixels

_STEPS = np.arange(256, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """How a picture is taken: gain, cast per channel, blur in pixels, streak (motion) or not, noise share."""

    gain: float
    cast: NDArray[np.float32]
    blur_px: float
    motion_deg: float | None
    noise: float
    jpeg_quality: int


def choose_exposure(config: SynthesisConfig, rng: np.random.Generator) -> Exposure:
    """Draw an exposure; half of all pictures are sharp, and most have little noise."""
    blur = float(rng.uniform(0, config.blur_px)) * config.size_px / 128 if rng.random() < 0.5 else 0.0
    low, high = np.log(config.light)
    return Exposure(
        gain=float(np.exp(rng.uniform(low, high))),
        cast=np.exp(rng.normal(0, 1, 3) * config.warmth * np.array([1.0, 0.35, 1.0])).astype(np.float32),
        blur_px=blur,
        motion_deg=float(rng.uniform(0, 180)) if rng.random() < 0.3 else None,
        noise=float(rng.uniform(0, config.noise) * rng.random()),
        jpeg_quality=int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1)),
    )


def expose(canvas: Pixels, exposure: Exposure, rng: np.random.Generator) -> Pixels:
    """The RGB canvas (S, S, 3) uint8 as taken with the exposure."""
    slope = (exposure.cast * np.float32(exposure.gain))[None, :]
    table = np.clip(_STEPS[:, None] * slope, 0, 255).astype(np.uint8)[None]
    picture = cv2.multiply(cv2.LUT(canvas, table), _fall_of_light(canvas.shape[0], rng), scale=1 / 160)
    if exposure.blur_px > 0.25:
        picture = _blurred(picture, exposure)
    if exposure.noise > 0.002:
        grain = rng.standard_normal(canvas.shape, np.float32) * np.float32(exposure.noise * 255)
        picture = cv2.add(picture, grain.astype(np.int16), dtype=cv2.CV_8U)
    return np.asarray(picture)


def _fall_of_light(size_px: int, rng: np.random.Generator) -> Pixels:
    """Light that is uneven over the frame, 160 standing for one."""
    coarse = np.clip(160 * (1 + 0.12 * rng.normal(0, 1, (2, 2))), 90, 230).astype(np.uint8)
    return np.asarray(cv2.cvtColor(cv2.resize(coarse, (size_px, size_px)), cv2.COLOR_GRAY2RGB))


def _blurred(picture: Pixels, exposure: Exposure) -> Pixels:
    if exposure.motion_deg is None:
        return np.asarray(cv2.GaussianBlur(picture, (0, 0), exposure.blur_px))
    reach = max(1, round(exposure.blur_px * 2))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    angle = np.radians(exposure.motion_deg)
    steps = np.linspace(-reach, reach, 4 * reach + 1)
    kernel[(reach + steps * np.sin(angle)).round().astype(int), (reach + steps * np.cos(angle)).round().astype(int)] = 1
    return np.asarray(cv2.filter2D(picture, -1, kernel / kernel.sum()))

"""The one camera that takes every synthetic picture: what it draws, and what lens, sensor and tone curve do.

A picture is taken in this order, in scene-linear light: lens blur, motion blur, exposure times white balance
times the fall of light over the frame, sensor noise, tone curve, 8 bit. JPEG follows in `encoding.py`.
Noise is added to the square root of light, where photon and read noise together have one spread at every
brightness; a table of 16 bits then goes from there to sRGB, so that no power is taken per pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from components.core.params import Section
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.picture.pictures import Pixels

Floats = NDArray[np.float32]
Range = tuple[float, float]

_READ_SHARE = 0.006  # light at which read noise and photon noise are equal
_MOST_LIGHT = 4.0  # two stops above white: what is brighter is white anyway
_INDEX_SCALE = 65535 / np.sqrt(_MOST_LIGHT + _READ_SHARE)
_SHOULDER = 0.8  # light from here on is compressed, so that highlights do not break off
_CONTRAST_STEPS = 32  # tables are kept for this many contrasts per unit
_LEAST_BLUR_PX, _LEAST_NOISE = 0.25, 0.0015
_BANK_SLACK_PX = 256  # the window into the noise bank moves by up to this much
_FRAME_PX = 128  # blurs are stated for a frame of this side
# On a grid of 3 x 3 points: how much of each corner's light is there, and how far a point lies off the lens's axis.
_CORNERS = np.array([((1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x) for y in (0, 0.5, 1) for x in (0, 0.5, 1)])
_OFF_AXIS = np.array((1, 0.5, 1, 0.5, 0, 0.5, 1, 0.5, 1))


class CameraConfig(Section):
    """Ranges of a hand-held phone: half of all pictures are sharp, most have little noise."""

    exposure_ev: Range = Field((-1.0, 0.6), description="exposure in stops, 0 for as bright as the scene")
    warmth: float = Field(0.4, ge=0, le=2, description="largest white-balance error, as log of red to blue")
    tint: float = Field(0.08, ge=0, le=1, description="largest error towards green or magenta, as log factor")
    contrast: Range = Field((0.0, 0.6), description="strength of the S of the tone curve, 0 for plain sRGB")
    shading: float = Field(0.22, ge=0, le=1, description="spread of uneven light over the frame, as log factor")
    vignette: float = Field(0.3, ge=0, le=0.9, description="largest loss of light in the corners, as share")
    blur_px: float = Field(1.3, ge=0, le=10, description="largest lens blur (sigma), for a frame of 128 pixels")
    blur_probability: float = Field(0.36, ge=0, le=1, description="how often the lens is out of focus")
    motion_px: float = Field(3.0, ge=0, le=20, description="longest motion streak, for a frame of 128 pixels")
    motion_probability: float = Field(0.2, ge=0, le=1, description="how often the hand shakes")
    noise: float = Field(0.022, ge=0, le=0.3, description="largest sensor noise, as share of white")
    jpeg_quality: tuple[int, int] = Field((45, 92), description="quality of the JPEG encoding")

    @model_validator(mode="after")
    def _check_ranges(self) -> CameraConfig:
        for name, low, high in (("exposure_ev", -6, 6), ("contrast", -0.9, 0.9), ("jpeg_quality", 10, 100)):
            start, stop = getattr(self, name)
            if not low <= start <= stop <= high:
                raise ValueError(f"{name} must rise and lie within [{low}, {high}], got [{start}, {stop}]")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """All that was drawn for one picture; blur (sigma) and streak length are in its own pixels.

    `falloff` are log factors at the four corners (top left, top right, bottom left, bottom right).
    """

    exposure_ev: float = 0.0
    warmth: float = 0.0
    tint: float = 0.0
    contrast: float = 0.0
    falloff: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    vignette: float = 0.0
    blur_px: float = 0.0
    motion_px: float = 0.0
    motion_deg: float = 0.0
    noise: float = 0.0
    noise_seed: int = 0
    jpeg_quality: int = 90


def draw_shot(config: CameraConfig, factors: FactorDraw, size_px: int) -> Shot:
    """Draw how one picture of `size_px` is taken; every number but the noise seed becomes a factor column.

    `f_blur_px` and `f_motion_px` are stated for a frame of 128 pixels, and 0 where there is no such blur.
    """
    rng, zoom = factors.rng, size_px / _FRAME_PX
    falloff = rng.standard_normal(4) * config.shading
    return Shot(
        exposure_ev=factors.uniform("exposure_ev", *config.exposure_ev),
        warmth=factors.uniform("warmth", -config.warmth, config.warmth),
        tint=factors.uniform("tint", -config.tint, config.tint),
        contrast=factors.uniform("contrast", *config.contrast),
        falloff=tuple(falloff.clip(-0.9, 0.6).tolist()),
        vignette=factors.uniform("vignette", 0.0, config.vignette),
        blur_px=zoom * sometimes(factors, "blur_px", config.blur_px, config.blur_probability),
        motion_px=zoom * sometimes(factors, "motion_px", config.motion_px, config.motion_probability),
        motion_deg=factors.uniform("motion_deg", 0.0, 180.0),
        noise=factors.log_uniform("noise", config.noise / 30, config.noise) if config.noise else 0.0,
        noise_seed=int(rng.integers(_BANK_SLACK_PX**2)),
        jpeg_quality=factors.count("jpeg_quality", *config.jpeg_quality),
    )


def take_picture(scene: Floats | Pixels, shot: Shot) -> Pixels:
    """The scene as the camera stores it, RGB (H, W, 3) uint8 in sRGB; the scene itself is left as it is.

    `scene` is (H, W, 3): float32 scene-linear light, 1 for a white that is just not clipped, or uint8 sRGB,
    which is brought to linear light first. A plain `Shot()` gives sRGB back, but for its highlights.
    """
    linear = to_linear(scene) if scene.dtype == np.uint8 else scene
    if shot.blur_px > _LEAST_BLUR_PX:
        reach = 2 * int(np.ceil(2.5 * shot.blur_px)) + 1
        linear = cv2.GaussianBlur(linear, (reach, reach), shot.blur_px)
    if shot.motion_px > 2 * _LEAST_BLUR_PX:
        linear = cv2.filter2D(linear, -1, _streak(round(shot.motion_px, 1), round(shot.motion_deg)))
    height, width = linear.shape[:2]
    root = _spread(_gains(shot), height, width)
    cv2.multiply(linear, root, dst=root)
    root += np.float32(_READ_SHARE)
    cv2.sqrt(root, dst=root)
    noise = shot.noise if shot.noise > _LEAST_NOISE else 0.0
    grain = _noise(height, width, shot.noise_seed) if noise else root
    index = cv2.addWeighted(root, _INDEX_SCALE, grain, _INDEX_SCALE * noise, 0.0, dtype=cv2.CV_16U)
    return np.asarray(cv2.LUT(index, _tone_table(round(shot.contrast * _CONTRAST_STEPS))))


def to_linear(picture: Pixels) -> Floats:
    """An sRGB picture uint8 as scene-linear float32 of the same shape, 1 for white."""
    return np.asarray(cv2.LUT(picture, _linear_table()))


@cache
def _linear_table() -> Floats:
    encoded = np.arange(256) / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return linear.astype(np.float32)


def sometimes(factors: FactorDraw, name: str, most: float, probability: float) -> float:
    """A number up to `most`, positive with the probability, else 0; aiming at a positive range makes it so."""
    if not most or not probability:
        factors.note(name, 0.0)
        return 0.0
    value = max(0.0, factors.uniform(name, most * (1 - 1 / probability), most))
    factors.note(name, value)
    return value


def _gains(shot: Shot) -> Floats:
    """Exposure, white balance and fall of light on a grid of 3 x 3 points over the frame, per channel."""
    light = np.exp(_CORNERS @ shot.falloff) * (1 - shot.vignette * _OFF_AXIS)
    exposure = 2.0**shot.exposure_ev
    balance = [exposure * math.exp(log) for log in (shot.warmth / 2, -shot.tint, -shot.warmth / 2)]
    return np.asarray(np.multiply.outer(light, balance), np.float32).reshape(3, 3, 3)


def _spread(grid: Floats, height: int, width: int) -> Floats:
    """A grid (3, 3, 3) enlarged to (height, width, 3), as `cv2.resize` does it, in a third of its time."""
    across = cv2.resize(grid, (width, 3), interpolation=cv2.INTER_LINEAR).reshape(3, -1)
    return np.asarray(_enlarging(height) @ across, np.float32).reshape(height, width, 3)


@lru_cache(maxsize=16)
def _enlarging(height: int) -> Floats:
    """The matrix (height, 3) that enlarges three rows to a height."""
    return np.asarray(cv2.resize(np.eye(3, dtype=np.float32), (3, height), interpolation=cv2.INTER_LINEAR))


@lru_cache(maxsize=128)
def _tone_table(step: int) -> Pixels:
    """sRGB (1, 65536) by the scaled square root of light, with an S of strength step / steps on top."""
    light = (np.arange(65536) / _INDEX_SCALE) ** 2 - _READ_SHARE
    over = np.maximum(light - _SHOULDER, 0) / (1 - _SHOULDER)
    light = np.where(light > _SHOULDER, _SHOULDER + (1 - _SHOULDER) * np.tanh(over), light).clip(0, 1)
    encoded = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    curved = encoded + (step / _CONTRAST_STEPS) * encoded * (1 - encoded) * (2 * encoded - 1)
    return np.asarray(curved * 255 + 0.5).astype(np.uint8)[None]


def _noise(height: int, width: int, seed: int) -> Floats:
    """A window of (height, width, 3) into the bank of unit noise."""
    top, left = divmod(seed, _BANK_SLACK_PX)
    return _noise_bank(height, width)[top : top + height, left : left + width]


@lru_cache(maxsize=4)
def _noise_bank(height: int, width: int) -> Floats:
    """Unit noise, a little correlated between neighbours and more so in colour, as demosaicing leaves it."""
    shape = height + _BANK_SLACK_PX, width + _BANK_SLACK_PX
    rng = np.random.default_rng(0)
    grey = cv2.GaussianBlur(rng.standard_normal(shape, np.float32), (3, 3), 0.45)
    colour = cv2.GaussianBlur(rng.standard_normal((*shape, 3), np.float32), (5, 5), 0.8)
    bank = 0.85 * grey[..., None] / grey.std() + np.sqrt(1 - 0.85**2) * colour / colour.std()
    return np.asarray(bank / bank.std(), np.float32)


@lru_cache(maxsize=4096)
def _streak(length_px: float, angle_deg: int) -> Floats:
    """The kernel of a straight move of the hand while the shutter is open; its weights add up to one."""
    reach = max(1, int(np.ceil(length_px / 2)))
    steps = np.linspace(-length_px / 2, length_px / 2, 8 * reach + 1)
    angle = np.radians(angle_deg)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    at = np.arange(-reach, reach + 1)[:, None]
    down, across = (np.maximum(0, 1 - np.abs(at - steps * part)) for part in (np.sin(angle), np.cos(angle)))
    kernel += (down @ across.T).astype(np.float32)
    return np.asarray(kernel / kernel.sum(), np.float32)

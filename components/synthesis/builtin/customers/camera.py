"""The phone that customers hold: where it stands, what it sees, and how its lens and sensor spoil the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Blur = Literal["sharp", "defocus", "motion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """A pinhole camera: position (3,), axes (3, 3) as rows right, up, forward, focal length in pixels."""

    position: Floats
    axes: Floats
    focal_px: float
    size_px: int

    def project(self, points: Floats) -> Floats:
        """World points (..., 3) as [x px, y px, 1 / depth]; behind the camera the last is not positive."""
        seen = (points - self.position) @ self.axes.T
        near = 1.0 / np.where(np.abs(seen[..., 2]) < 1e-3, -1e-3, seen[..., 2])
        middle = (self.size_px - 1) / 2
        x, y = middle + seen[..., 0] * near * self.focal_px, middle - seen[..., 1] * near * self.focal_px
        return np.stack([x, y, near], axis=-1).astype(np.float32)

    def rays(self) -> Floats:
        """The direction (size * size, 3) seen at each pixel, with unit length along the forward axis."""
        middle = (self.size_px - 1) / 2
        steps = (np.arange(self.size_px, dtype=np.float32) - middle) / np.float32(self.focal_px)
        x, y = np.meshgrid(steps, -steps)
        return np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3) @ self.axes


def place_camera(rng: np.random.Generator, *, size_px: int, target: Floats) -> tuple[Camera, float, float]:
    """A hand-held camera somewhere before the target: camera, azimuth and elevation in degrees."""
    azimuth, elevation = rng.uniform(-60, 60), rng.uniform(6, 42)
    roll, distance = np.radians(rng.normal(0, 5)), rng.uniform(3.2, 4.4)
    a, e = np.radians(azimuth), np.radians(elevation)
    toward = np.array([np.sin(a) * np.cos(e), -np.cos(a) * np.cos(e), np.sin(e)])
    forward = -toward
    right = np.array([np.cos(a), np.sin(a), 0.0])
    up = np.cross(right, forward)
    axes = np.stack([np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right, forward])
    aim = target + axes[:2].T @ rng.normal(0, 0.12, 2)
    focal = size_px * rng.uniform(1.35, 2.0)
    position = (aim + toward * distance).astype(np.float32)
    camera = Camera(position=position, axes=axes.astype(np.float32), focal_px=float(focal), size_px=size_px)
    return camera, float(azimuth), float(elevation)


def expose(linear: Floats, rng: np.random.Generator, *, size_px: int) -> tuple[NDArray[np.uint8], Blur]:
    """A linear picture (S, S, 3) as the phone stores it, before JPEG: (size, size, 3) uint8, and its blur."""
    picture = cv2.resize(linear, (size_px, size_px), interpolation=cv2.INTER_AREA)
    picture *= (0.2 / max(float(picture.mean()), 1e-3)) ** 0.5  # metering makes up for half of the light
    blur: Blur = ("sharp", "defocus", "motion")[rng.choice(3, p=[0.6, 0.22, 0.18])]
    if blur == "defocus":
        picture = cv2.GaussianBlur(picture, (0, 0), float(rng.uniform(0.5, 1.0)) * size_px / 64)
    elif blur == "motion":
        picture = cv2.filter2D(picture, -1, _streak(rng, size_px))
    picture = picture * _vignette(size_px, float(rng.uniform(0, 0.35)))
    cast = np.exp(rng.normal(0, 0.12, 3)).astype(np.float32)
    encoded = np.clip(picture * cast * np.float32(np.exp(rng.normal(0, 0.22))), 0, 1) ** np.float32(1 / 2.2)
    grain = rng.standard_normal(picture.shape, np.float32) * np.float32(rng.gamma(2.0, 0.006))
    return (np.clip(encoded + grain, 0, 1) * 255 + 0.5).astype(np.uint8), blur


def _streak(rng: np.random.Generator, size_px: int) -> Floats:
    """The kernel of a hand that moved in a straight line while the shutter was open."""
    reach = max(1, round(float(rng.uniform(1.0, 2.0)) * size_px / 64))
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    angle = rng.uniform(0, np.pi)
    steps = np.linspace(-reach, reach, 4 * reach + 1)
    kernel[(reach + steps * np.sin(angle)).round().astype(int), (reach + steps * np.cos(angle)).round().astype(int)] = 1
    return np.asarray(kernel / kernel.sum(), np.float32)


def _vignette(size_px: int, depth: float) -> Floats:
    steps = np.linspace(-1, 1, size_px, dtype=np.float32)
    fall = 1 - depth * (steps[:, None] ** 2 + steps[None] ** 2) / 2
    return fall[..., None].astype(np.float32)

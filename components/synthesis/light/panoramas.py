"""Reads light off pictures: a user's panorama of a place, or the very photo that stands behind an object.

A photo shows only what is in front of the camera, so its disc is taken for both halves of the world around the
object (Khan et al., "Image-based material editing", 2006), and what it clips is made brighter again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.core.errors import DataError
from components.synthesis.light.light_sources import Array, direction, lobe_directions, nearest_sun
from components.synthesis.light.lighting import Light, adapted
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, lobe_solid_angles, panorama_directions, project
from components.synthesis.picture.camera import Floats, to_linear
from components.synthesis.picture.pictures import Pixels

_ALBEDO = 0.6  # what the things in a photo's lower part give back of their light, next to a white object
_GRID = 16  # a photo's light is read from so many regions across and down
_CLIPPED, _CLIPPED_GAIN = 0.7, 9.0  # light from here on was brighter than the photo could hold, at white 1 + gain
_KEY_FROM, _KEY_FULL, _KEY_SHARE = 3.0, 9.0, 0.35  # spots so much brighter than the mean become a sun's share
_LOWEST_KEY = 0.1  # sine of the elevation from which a bright spot counts
_SUN_FACTOR, _SUN_SR = 20.0, 0.034  # a spot of a panorama, so much brighter than the mean and no larger, is a sun
_THIRDS = np.full(3, 1 / 3, np.float32)
_DOWN = np.array([0.0, 0.0, -1.0])
_PICTURES = (".png", ".jpg", ".jpeg")


def read_regions(picture: Pixels) -> Floats:
    """The mean light (regions, 3) in each of 16 x 16 regions of a photo (H, W, 3) uint8 sRGB, row by row."""
    small = cv2.resize(picture, (_GRID, _GRID), interpolation=cv2.INTER_AREA)
    return to_linear(np.asarray(small)).reshape(-1, 3)


def surrounding_level(regions: Floats) -> float:
    """How bright a white matt object should be in a photo with these regions, 1 for its white; 0.1 to 1."""
    lower = regions[len(regions) // 4 :]
    return min(max(float(lower.sum()) / (lower.size * _ALBEDO), 0.1), 1.0)


def fit_light(regions: Floats, *, azimuth_deg: float = 0.0) -> Light:
    """The light of a photo with these regions, at level 1, for an object before it; the camera's azimuth as given.

    Above and below, left and right come from where the regions lie; the brightest of them becomes a sun.
    """
    grey = regions @ _THIRDS
    clipped = np.maximum((grey - _CLIPPED) * (1 / (1 - _CLIPPED)), 0)
    gain = 1 + _CLIPPED_GAIN * clipped * clipped
    light, grey = regions * gain[:, None] + np.float32(1e-4), grey * gain
    lit = np.zeros((NUM_LIGHTS, 3), np.float32)
    lobes = _around(round(azimuth_deg)) @ light
    lobes = 0.5 * (lobes + (lobes @ _THIRDS)[:, None])  # half of the colour is that of walls, not of their light
    spot = int(grey.argmax())
    factor = float(grey[spot] * grey.size / grey.sum())
    toward = _cell_direction(spot, azimuth_deg) if factor > _KEY_FROM else _DOWN
    if toward[2] > _LOWEST_KEY:
        share = _KEY_SHARE * min((factor - _KEY_FROM) / (_KEY_FULL - _KEY_FROM), 1.0)
        power = float((lobe_solid_angles() @ lobes).sum()) / 3
        lobes *= 1 - share
        lit[nearest_sun(toward)] = light[spot] * (power * share / float(light[spot].sum() / 3))
    lit[:NUM_LOBES] = lobes
    return Light(name="background", coefficients=adapted(lit))


def light_from_panorama(panorama: Path | NDArray[np.floating[Any]], *, name: str = "panorama") -> Light:
    """The light of a lat-long panorama: a file (.hdr, .exr, .png, .jpg) or linear radiances (H, W, 3); energy stays.

    Small, very bright spots above the horizon become suns, all else lobes (see `lobes.project`). DataError for
    a missing, unreadable or wrongly shaped panorama, for negative or infinite light and NaN.
    """
    radiance = _read(panorama) if isinstance(panorama, Path) else np.asarray(panorama, np.float64)
    _require_light(radiance, str(panorama) if isinstance(panorama, Path) else "the panorama")
    lit = np.zeros((NUM_LIGHTS, 3))
    rest = radiance.copy()
    for spot in _suns(radiance):
        height, width = radiance.shape[:2]
        solid = np.repeat(_row_solid_angles(height, width), width)[spot]
        excess = rest.reshape(-1, 3)[spot] - rest.mean(axis=(0, 1))
        toward = panorama_directions(height, width).reshape(-1, 3)[spot]
        middle = (toward * (solid * excess.mean(axis=1))[:, None]).sum(axis=0)
        rest.reshape(-1, 3)[spot] -= excess
        lit[nearest_sun(middle / np.linalg.norm(middle))] += (solid[:, None] * excess).sum(axis=0)
    lit[:NUM_LOBES] = project(rest)
    return Light(name=name, coefficients=lit.astype(np.float32))


def _read(path: Path) -> Array:
    if not path.is_file():
        raise DataError(f"no panorama at {path}; name an existing .hdr, .exr, .png or .jpg in lights.panoramas")
    suffix = path.suffix.lower()
    if suffix not in (".hdr", ".exr", *_PICTURES):
        raise DataError(f"{path} is no panorama: its suffix must be .hdr, .exr, .png or .jpg; convert it")
    if suffix == ".exr":
        return _read_exr(path)
    pixels = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if pixels is None:
        raise DataError(f"the panorama {path} cannot be decoded; save it again, as .hdr or .exr")
    rgb: NDArray[Any] = np.ascontiguousarray(pixels[..., ::-1])
    if rgb.dtype == np.uint16:
        rgb = (rgb // 257).astype(np.uint8)
    return np.asarray(to_linear(rgb) if rgb.dtype == np.uint8 else rgb, np.float64)


def _read_exr(path: Path) -> Array:
    """OpenEXR through Mitsuba, because OpenCV's wheels leave the format out."""
    import mitsuba

    if mitsuba.variant() is None:
        mitsuba.set_variant("scalar_rgb")
    try:
        bitmap = mitsuba.Bitmap(str(path)).convert(mitsuba.Bitmap.PixelFormat.RGB, mitsuba.Struct.Type.Float32, False)
    except RuntimeError as error:
        raise DataError(f"the panorama {path} cannot be decoded ({error}); save it again, as .hdr or .exr") from error
    return np.array(bitmap, np.float64)


def _require_light(radiance: Array, name: str) -> None:
    if radiance.ndim != 3 or radiance.shape[2] != 3 or radiance.shape[0] < 4:
        raise DataError(f"{name} must have shape (height, width, 3), got {radiance.shape}; convert it to RGB")
    if radiance.shape[1] != 2 * radiance.shape[0]:
        sides = f"{radiance.shape[1]}x{radiance.shape[0]}"
        raise DataError(f"{name} is {sides} pixels, but a lat-long panorama is twice as wide as high; reproject it")
    if not np.isfinite(radiance).all():
        raise DataError(f"{name} holds NaN or infinite light; repair those pixels")
    if radiance.min() < 0:
        raise DataError(f"{name} holds negative light ({radiance.min():g}); clip it at 0")
    if not radiance.any():
        raise DataError(f"{name} is black all over; give one that shines")


def _suns(radiance: Array) -> list[NDArray[np.intp]]:
    """Flat indices of each small, very bright spot above the horizon."""
    height, width = radiance.shape[:2]
    grey = radiance.mean(axis=2)
    solid = _row_solid_angles(height, width)
    mean = float((grey * solid[:, None]).sum() / (4 * np.pi))
    bright = (grey > _SUN_FACTOR * mean).astype(np.uint8)
    bright[int(height * 0.47) :] = 0
    number, labels = cv2.connectedComponents(bright)
    spots = [np.flatnonzero(labels == label) for label in range(1, min(number, 24))]
    return [spot for spot in spots if solid[spot // width].sum() <= _SUN_SR]


def _row_solid_angles(height: int, width: int) -> Array:
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    return np.asarray((edges[:-1] - edges[1:]) * 2 * np.pi / width)


def _cell_direction(cell: int, azimuth_deg: float) -> Array:
    """Where a region of the photo lies, seen from the object: behind it, on the disc that the photo spans."""
    down, across = np.divmod(cell, _GRID)
    x, z = (2 * (across + 0.5) / _GRID - 1) * 0.9, (1 - 2 * (down + 0.5) / _GRID) * 0.9
    elevation = np.degrees(np.arcsin(z))
    side = np.degrees(np.arcsin(np.clip(x / np.sqrt(1 - z * z), -1, 1)))
    return direction(azimuth_deg + 180 - side, elevation)


@cache
def _around(azimuth_deg: int) -> Floats:
    """The matrix (NUM_LOBES, regions) from a photo's regions to lobes; ceilings shine more, floors less."""
    turn = np.radians(azimuth_deg)
    seen = lobe_directions() @ np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    steps = (np.arange(_GRID) + 0.5) / _GRID * 2 - 1
    across, down = np.tile(steps, _GRID), np.repeat(steps, _GRID)
    apart = (seen[:, [0]] * 0.9 - across) ** 2 + (-seen[:, [2]] * 0.9 - down) ** 2
    weights = np.exp(-apart / (2 * 0.15**2))
    weights *= np.interp(seen[:, 2], [-1, 0, 1], [0.45, 1.0, 2.6])[:, None] / weights.sum(axis=1, keepdims=True)
    return np.asarray(weights, np.float32)

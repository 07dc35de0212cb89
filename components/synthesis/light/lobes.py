"""Describes every light by 64 tent lobes over the whole sphere and 24 small suns: the basis that relighting uses.

The lobes are the corners of bilinear interpolation on an 8 x 8 octahedral map (Engelhardt and Dachsbacher,
"Octahedron Environment Maps", 2008): they are never negative and sum to one in every direction, so a uniform
sky is 64 equal coefficients, exactly. World axes: x right, y away from the front camera, z up.

A lobe's coefficient is a radiance: all 64 at 1.0 are a uniform sky of radiance 1. A sun's coefficient is the
irradiance on a surface that faces it, so that 1.0 is comparable with a sky of radiance 1 / pi.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from components.core.errors import DataError

MAP_SIDE = 8
NUM_LOBES = MAP_SIDE * MAP_SIDE
NUM_SUNS = 24
NUM_LIGHTS = NUM_LOBES + NUM_SUNS
SUN_HALF_ANGLE_DEG = 2.0
SUN_SOLID_ANGLE_SR = float(2 * np.pi * (1 - np.cos(np.radians(SUN_HALF_ANGLE_DEG))))
_SUN_ELEVATIONS_DEG = (8.0, 85.0)
_PANORAMA_HEIGHT_PX = 256  # of the grid on which a radiance function is projected

Array = NDArray[np.float64]
Radiance = Callable[[Array], Array]


def octahedral(directions: NDArray[np.floating]) -> Array:
    """The place of unit vectors (N, 3) on the octahedral square, (N, 2) in 0..1; z up is its middle."""
    scaled = directions / np.abs(directions).sum(axis=-1, keepdims=True)
    flat = scaled[..., :2]
    signs = np.where(flat < 0, -1.0, 1.0)
    folded = np.where(scaled[..., 2:] < 0, (1 - np.abs(flat[..., ::-1])) * signs, flat)
    return np.asarray((folded + 1) / 2, np.float64)


def lobe_weights(directions: NDArray[np.floating]) -> tuple[NDArray[np.int64], Array]:
    """The four lobes (N, 4) that unit vectors (N, 3) touch and their weights (N, 4), which sum to one.

    Over an edge of the map the lobes of its mirrored half go on; in a corner an index may come twice.
    """
    place = octahedral(directions) * MAP_SIDE - 0.5
    low = np.floor(place).astype(np.int64)
    share = place - low
    columns = low[:, [0]] + np.array([0, 1, 0, 1])
    rows = low[:, [1]] + np.array([0, 0, 1, 1])
    across = np.where([False, True, False, True], share[:, [0]], 1 - share[:, [0]])
    along = np.where([False, False, True, True], share[:, [1]], 1 - share[:, [1]])
    return _wrapped(columns, rows), across * along


def evaluate(coefficients: NDArray[np.floating], directions: NDArray[np.floating]) -> Array:
    """The radiance (N, C) that lobe coefficients (NUM_LOBES, C) send from unit vectors (N, 3)."""
    indices, weights = lobe_weights(directions)
    return np.asarray(np.einsum("nk,nkc->nc", weights, np.asarray(coefficients, np.float64)[indices]))


def project(light: Radiance | NDArray[np.floating]) -> Array:
    """The lobe coefficients (NUM_LOBES, 3) of a light: each the mean of its radiance under that lobe.

    `light` is a lat-long panorama (H, W, 3), laid out as `panorama_directions` says, or a function from unit
    vectors (N, 3) to radiances (N, 3). Means keep the light's energy, add no negative light and leave a
    uniform sky as it is; they widen what is sharp by a lobe. DataError for another shape or NaN.
    """
    if callable(light):
        height = _PANORAMA_HEIGHT_PX
        pixels = np.asarray(light(panorama_directions(height, 2 * height).reshape(-1, 3)), np.float64)
        panorama = pixels.reshape(height, 2 * height, -1)
    else:
        panorama = np.asarray(light, np.float64)
    if panorama.ndim != 3 or panorama.shape[-1] != 3 or min(panorama.shape) < 1:
        raise DataError(f"a panorama has shape (height, width, 3), got {panorama.shape}; convert it to RGB")
    if not np.isfinite(panorama).all():
        raise DataError("a panorama holds NaN or infinite radiances; replace them by finite ones")
    height, width = panorama.shape[:2]
    indices, weights = lobe_weights(panorama_directions(height, width).reshape(-1, 3))
    weights *= _row_solid_angles(height, width).repeat(width)[:, None]
    sums = np.stack([_gathered(indices, weights * panorama[..., c].reshape(-1, 1)) for c in range(3)], axis=1)
    return sums / _gathered(indices, weights)[:, None]


def panorama_directions(height: int, width: int) -> Array:
    """Unit vectors (H, W, 3) of a lat-long panorama's pixels, which an observer at the object looks around in.

    Its top row is overhead, its middle column lies behind the object for the front camera (+y), and what is
    to the right of that column is to the camera's right (+x).
    """
    elevation = np.pi / 2 - (np.arange(height) + 0.5) / height * np.pi
    turn = (np.arange(width) + 0.5) / width * 2 * np.pi - np.pi
    flat = np.cos(elevation)[:, None]
    up = np.broadcast_to(np.sin(elevation)[:, None], (height, width))
    return np.stack([flat * np.sin(turn), flat * np.cos(turn), up], axis=-1)


@cache
def _suns() -> Array:
    low, high = np.sin(np.radians(_SUN_ELEVATIONS_DEG))
    step = np.arange(NUM_SUNS)
    up = low + (high - low) * (step + 0.5) / NUM_SUNS
    turn = step * np.pi * (3 - np.sqrt(5.0))
    flat = np.sqrt(1 - up * up)
    suns = np.stack([flat * np.sin(turn), flat * np.cos(turn), up], axis=1)
    suns.flags.writeable = False
    return suns


def sun_directions() -> Array:
    """Unit vectors (NUM_SUNS, 3) toward the suns: a Fibonacci spiral from 8 to 85 degrees of elevation."""
    return _suns()


@cache
def lobe_solid_angles() -> Array:
    """The integral (NUM_LOBES,) of each lobe over the sphere, in steradians; together 4 pi."""
    height = _PANORAMA_HEIGHT_PX
    indices, weights = lobe_weights(panorama_directions(height, 2 * height).reshape(-1, 3))
    angles = _gathered(indices, weights * _row_solid_angles(height, 2 * height).repeat(2 * height)[:, None])
    angles.flags.writeable = False
    return angles


def ground_irradiance() -> Array:
    """The irradiance (NUM_LIGHTS,) on bare, level ground per unit of each light."""
    height = _PANORAMA_HEIGHT_PX
    directions = panorama_directions(height, 2 * height).reshape(-1, 3)
    indices, weights = lobe_weights(directions)
    cosines = directions[:, 2].clip(0) * _row_solid_angles(height, 2 * height).repeat(2 * height)
    return np.concatenate([_gathered(indices, weights * cosines[:, None]), sun_directions()[:, 2]])


def _row_solid_angles(height: int, width: int) -> Array:
    """The exact solid angle of one pixel in each row (H,) of a lat-long panorama."""
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    return (edges[:-1] - edges[1:]) * 2 * np.pi / width


def _gathered(indices: NDArray[np.int64], values: Array) -> Array:
    return np.asarray(np.bincount(indices.reshape(-1), values.reshape(-1), minlength=NUM_LOBES), np.float64)


def _wrapped(columns: NDArray[np.int64], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Indices on the map, of cells that may lie one step outside it."""
    last = MAP_SIDE - 1
    aside = (columns < 0) | (columns > last)
    columns, rows = np.where(aside, columns.clip(0, last), columns), np.where(aside, last - rows, rows)
    beyond = (rows < 0) | (rows > last)
    columns, rows = np.where(beyond, last - columns, columns), np.where(beyond, rows.clip(0, last), rows)
    return np.asarray(rows * MAP_SIDE + columns, np.int64)

"""Averages the noise of traced light over neighbouring pixels of the same surface, edges and textures kept.

What is averaged is irradiance, light over albedo, so that a texture stays as sharp as it was. Neighbours count
by how near they are, how alike their normals are and how near they lie to the pixel's own plane: a joint
bilateral filter, guided by geometry that carries no noise. Its error is part of every fidelity figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
_ALIKE_NORMALS = 0.25  # distance of unit normals at which the weight falls to 1/e
_DARKEST = 0.02  # albedo added to both sides of the quotient, so that black surfaces divide well


@dataclass(frozen=True, slots=True, kw_only=True)
class Guides:
    """What pixels (P,) show: flat index, place (P, 3) and unit normal (P, 3) in metres, and albedo (P, 3) times alpha.

    `step_m` is the distance off a pixel's plane at which a neighbour's weight falls to 1/e.
    """

    size_px: int
    pixels: NDArray[np.int32]
    places: Array
    normals: Array
    albedo: Array
    step_m: float


def smoothed(light: Array, guides: Guides, *, reach_px: int = 2) -> Array:
    """Light (P, K, 3) averaged over neighbours up to `reach_px` away along each axis."""
    slots = np.full((guides.size_px + 2 * reach_px,) * 2, -1, np.int64)
    row, column = np.divmod(guides.pixels, guides.size_px)
    slots[row + reach_px, column + reach_px] = np.arange(len(guides.pixels))
    own = (guides.albedo + np.float32(_DARKEST)).astype(np.float32)
    total, share = np.zeros_like(light), np.zeros_like(own)
    for down in range(-reach_px, reach_px + 1):
        for right in range(-reach_px, reach_px + 1):
            neighbour = slots[row + reach_px + down, column + reach_px + right]
            here = np.flatnonzero(neighbour >= 0)
            there = neighbour[here]
            weight = _likeness(guides, here, there) * np.float32(np.exp(-(down**2 + right**2) / reach_px**2))
            total[here] += weight[:, None, None] * light[there]
            share[here] += weight[:, None] * own[there]
    return total * (own / share)[:, None, :]


def _likeness(guides: Guides, here: NDArray[np.int64], there: NDArray[np.int64]) -> Array:
    normals = ((guides.normals[here] - guides.normals[there]) ** 2).sum(axis=1) / _ALIKE_NORMALS**2
    off = np.einsum("pc,pc->p", guides.places[there] - guides.places[here], guides.normals[here]) / guides.step_m
    return np.asarray(np.exp(-normals - off**2), np.float32)

"""Draws triangles into a z-buffer, all at once: every pixel of every triangle's box is one array entry.

No triangle is looped over. Depth is kept as its inverse, which is linear on the screen, so that nearer is
larger and interpolation is exact in perspective.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
_LEAST_AREA = 1e-5  # square pixels, doubled; thinner triangles cover no pixel centre worth dividing for


@dataclass(frozen=True, slots=True, kw_only=True)
class Fragments:
    """What is seen, one entry a covered pixel: flat pixel index, triangle, weights (N, 3), inverse depth."""

    pixel: NDArray[np.intp]
    triangle: NDArray[np.intp]
    weights: Floats
    nearness: Floats


def rasterise(corners: Floats, *, size_px: int) -> Fragments:
    """Draw triangles (T, 3, [x px, y px, 1 / depth]) on a square frame; those facing away are dropped.

    The weights are those of the corners in perspective, for any attribute that is linear on the surface.
    Triangles behind the camera (nearness not above 0) are dropped whole.
    """
    one, two = corners[:, 1, :2] - corners[:, 0, :2], corners[:, 2, :2] - corners[:, 0, :2]
    area = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0]  # negative when facing us, as y points down
    kept = np.flatnonzero((area < -_LEAST_AREA) & (corners[..., 2] > 0).all(axis=1))
    owner, x, y = _candidates(corners[kept], size_px)
    first = corners[kept, 0]
    dx, dy = x - first[owner, 0], y - first[owner, 1]
    second = (dx * (two[kept, 1] / area[kept])[owner]) - dy * (two[kept, 0] / area[kept])[owner]
    third = dy * (one[kept, 0] / area[kept])[owner] - dx * (one[kept, 1] / area[kept])[owner]
    inside = np.flatnonzero((second >= 0) & (third >= 0) & (second + third <= 1))
    owner, pixel = owner[inside], (y[inside] * size_px + x[inside]).astype(np.intp)
    share = np.stack([1 - second[inside] - third[inside], second[inside], third[inside]], axis=1)
    weights = share * corners[kept][owner, :, 2]
    return _nearest(kept[owner], pixel, weights, size_px**2)


def _nearest(triangle: NDArray[np.intp], pixel: NDArray[np.intp], weights: Floats, num_pixels: int) -> Fragments:
    """Of all candidates, the nearest at each pixel; of two equally near, the later."""
    nearness = weights[:, 0] + weights[:, 1] + weights[:, 2]
    front = np.zeros(num_pixels, np.float32)
    np.maximum.at(front, pixel, nearness)
    winner = np.full(num_pixels, -1, np.intp)
    seen = np.flatnonzero(nearness == front[pixel])
    winner[pixel[seen]] = seen
    chosen = winner[winner >= 0]
    return Fragments(
        pixel=pixel[chosen],
        triangle=triangle[chosen],
        weights=weights[chosen] / nearness[chosen, None],
        nearness=nearness[chosen],
    )


def _candidates(corners: Floats, size_px: int) -> tuple[NDArray[np.intp], Floats, Floats]:
    """All pixels (centres at whole numbers) in the boxes of all triangles: (triangle, x, y), each (P,)."""
    low = np.clip(np.ceil(corners[..., :2].min(axis=1)), 0, size_px).astype(np.intp)
    high = np.clip(np.floor(corners[..., :2].max(axis=1)) + 1, 0, size_px).astype(np.intp)
    wide, tall = np.maximum(high - low, 0).T
    count = wide * tall
    owner = np.repeat(np.arange(len(corners)), count)
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    row, column = np.divmod(place, wide[owner])
    return owner, (low[owner, 0] + column).astype(np.float32), (low[owner, 1] + row).astype(np.float32)

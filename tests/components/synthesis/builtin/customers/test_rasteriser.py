"""The rasteriser sees what a plain loop over triangles and pixels sees."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from components.synthesis.builtin.customers.rasteriser import rasterise

SIZE = 12


def by_loops(corners: np.ndarray) -> dict[int, tuple[int, float]]:
    """Pixel to (triangle, nearness), in float64."""
    best: dict[int, tuple[int, float]] = {}
    for index, triangle in enumerate(corners.astype(float)):
        (ax, ay, az), (bx, by, bz), (cx, cy, cz) = triangle
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area >= -1e-3 or min(az, bz, cz) <= 0:
            continue
        for y in range(SIZE):
            for x in range(SIZE):
                u = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                v = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                if min(u, v, 1 - u - v) < 0:
                    continue
                near = (1 - u - v) * az + u * bz + v * cz
                if near > best.get(y * SIZE + x, (0, 0.0))[1]:
                    best[y * SIZE + x] = index, near
    return best


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 20))
def test_it_agrees_with_plain_loops(seed, number):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-4, SIZE + 4, (number, 3, 3)).astype(np.float32)
    corners[..., 2] = rng.uniform(0.1, 1.0, (number, 3))
    expected, seen = by_loops(corners), rasterise(corners, size_px=SIZE)
    got = dict(zip(seen.pixel.tolist(), seen.triangle.tolist(), strict=True))
    differing = [p for p in set(expected) | set(got) if expected.get(p, (-1, 0.0))[0] != got.get(p, -1)]
    assert len(differing) <= 1  # pixel centres on an edge may fall on either side in float32
    for pixel, near in zip(seen.pixel.tolist(), seen.nearness.tolist(), strict=True):
        if pixel not in differing:
            assert abs(near - expected[pixel][1]) < 1e-3


def test_weights_interpolate_in_perspective():
    # a floor that recedes: halfway down the screen is not halfway along the floor
    corners = np.float32([[[0, 0, 0.1], [0, 11, 1.0], [11, 11, 1.0]]])
    seen = rasterise(corners, size_px=SIZE)
    assert np.allclose(seen.weights.sum(axis=1), 1, atol=1e-5)
    half = seen.weights[seen.pixel == 5 * SIZE][0]
    depth = half @ np.float32([10, 1, 1])
    assert abs(1 / depth - seen.nearness[seen.pixel == 5 * SIZE][0]) < 1e-4


def test_triangles_behind_facing_away_or_empty_are_not_drawn():
    front = np.float32([[1, 1, 0.5], [1, 9, 0.5], [9, 9, 0.5]])
    behind = front * np.float32([1, 1, -1])
    flat = np.float32([[1, 1, 0.5], [5, 5, 0.5], [9, 9, 0.5]])
    assert rasterise(front[None], size_px=SIZE).pixel.size > 20
    for hidden in (behind, front[::-1].copy(), flat):
        assert rasterise(hidden[None], size_px=SIZE).pixel.size == 0
    assert rasterise(np.zeros((0, 3, 3), np.float32), size_px=SIZE).pixel.size == 0

"""A transfer without a tracer: a striped, matt ball on the ground, in closed form."""

import numpy as np
import pytest

from components.synthesis.light.light_sources import lobe_directions
from components.synthesis.light.lobes import NUM_SUNS, ground_irradiance, lobe_solid_angles, sun_directions
from components.synthesis.renders.transfers import Transfer, View


def _ball(size_px: int = 48, azimuth_deg: float = 0.0) -> Transfer:
    rows, columns = np.mgrid[:size_px, :size_px]
    middle, radius = (size_px - 1) / 2, 0.35 * size_px
    x, z = (columns - middle) / radius, -(rows - middle) / radius
    inside = x * x + z * z < 1
    view = View(azimuth_deg=azimuth_deg, elevation_deg=15.0, distance_m=3.0)
    turn = np.radians(azimuth_deg)
    right = np.array([np.cos(turn), np.sin(turn), 0.0])
    up = np.cross(right, -view.toward)
    toward = np.sqrt(np.clip(1 - x * x - z * z, 0, None))
    normals = x[..., None] * right + z[..., None] * up + toward[..., None] * view.toward
    normals *= inside[..., None]
    pixels = np.flatnonzero(inside).astype(np.int32)
    directions = np.concatenate([lobe_directions(), sun_directions()])
    powers = np.concatenate([lobe_solid_angles(), np.ones(NUM_SUNS)])
    irradiance = np.clip(normals.reshape(-1, 3)[pixels] @ directions.T, 0, None) * powers
    stripes = np.where((np.floor(z.reshape(-1)[pixels] * 3) % 2 == 0)[:, None], [0.8, 0.2, 0.1], [0.7, 0.7, 0.6])
    on_ground = np.flatnonzero(~inside & (rows > middle)).astype(np.int32)
    bare = ground_irradiance().astype(np.float32)
    shade = np.exp(-(x.reshape(-1)[on_ground] ** 2 + (z.reshape(-1)[on_ground] + 1) ** 2 * 4))
    return Transfer(
        size_px=size_px,
        view=view,
        pixels=pixels,
        response=(irradiance[:, :, None] / np.pi * stripes[:, None]).astype(np.float16),
        alpha=inside.astype(np.float16),
        depth=((3.0 - 0.3 * toward) * inside).astype(np.float16),
        normals=normals.astype(np.float16),
        ground_pixels=on_ground,
        ground=(bare * (1 - 0.8 * shade[:, None])).astype(np.float16),
        open_ground=bare,
        height_m=0.6,
        digest="b" * 64,
    )


@pytest.fixture(scope="session")
def ball():
    return _ball

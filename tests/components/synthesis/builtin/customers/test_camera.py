"""Rays and projection are each other's inverse, and a phone's picture keeps its size."""

import numpy as np
import pytest

from components.synthesis.builtin.customers.camera import expose, place_camera


@pytest.mark.parametrize("seed", range(5))
def test_rays_hit_what_projects_there(seed):
    camera, azimuth, elevation = place_camera(np.random.default_rng(seed), size_px=16, target=np.zeros(3, np.float32))
    points = camera.position + camera.rays() * 3.0
    projected = camera.project(points)
    x, y = np.meshgrid(np.arange(16), np.arange(16))
    assert projected[:, 0] == pytest.approx(x.ravel(), abs=1e-2)
    assert projected[:, 1] == pytest.approx(y.ravel(), abs=1e-2)
    assert projected[:, 2] == pytest.approx(1 / 3, abs=1e-3)
    assert np.allclose(camera.axes @ camera.axes.T, np.eye(3), atol=1e-5)
    assert abs(azimuth) <= 90
    assert 0 <= elevation <= 90


def test_the_target_is_in_the_frame_with_up_upwards():
    for seed in range(20):
        camera, _, _ = place_camera(np.random.default_rng(seed), size_px=64, target=np.zeros(3, np.float32))
        (x, y, near), (_, higher, _) = camera.project(np.float32([[0, 0, 0], [0, 0, 0.5]]))
        assert 0 < x < 64
        assert 0 < y < 64
        assert near > 0
        assert higher < y


def test_exposing_scales_to_the_frame_and_names_the_blur():
    linear = np.random.default_rng(0).uniform(0, 1, (64, 64, 3)).astype(np.float32)
    blurs = set()
    for seed in range(30):
        pixels, blur = expose(linear, np.random.default_rng(seed), size_px=32)
        assert pixels.shape == (32, 32, 3)
        blurs.add(blur)
    assert blurs == {"sharp", "defocus", "motion"}

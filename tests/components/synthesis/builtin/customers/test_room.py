"""Rooms fill every pixel, their floor lies below the horizon, and each kind of light comes up."""

import numpy as np

from components.synthesis.builtin.customers.camera import place_camera
from components.synthesis.builtin.customers.room import choose_lighting, paint_room


def test_every_pixel_has_a_finite_colour_and_a_place():
    for seed in range(10):
        rng = np.random.default_rng(seed)
        camera, _, _ = place_camera(rng, size_px=24, target=np.zeros(3, np.float32))
        colour, places = paint_room(camera, choose_lighting(rng), -0.8, rng)
        assert colour.shape == places.shape == (576, 3)
        assert np.isfinite(colour).all()
        assert (colour >= 0).all()
        assert places[:, 2].min() > -0.82


def test_all_lights_are_drawn():
    rng = np.random.default_rng(0)
    lights = [choose_lighting(rng) for _ in range(200)]
    assert {light.name for light in lights} == {"daylight", "warm", "dim", "hard", "coloured"}
    assert all(abs(np.linalg.norm(light.toward) - 1) < 1e-5 for light in lights)
    dim, hard = ([x.key.max() for x in lights if x.name == name] for name in ("dim", "hard"))
    assert max(dim) < min(hard)

"""The studio shows a model on white, lit from outside, with its exact silhouette."""

import numpy as np

from components.synthesis.builtin.parts import Finish, block
from components.synthesis.builtin.studio import View, photograph

FRONT = View(azimuth_deg=0, elevation_deg=0, distance=4.0)


def shot(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    red = block((1, 1, 1), (0, 0, 0.25), Finish(colour=(0.8, 0.1, 0.1)))
    return photograph([red], FRONT, size_px=32, num_paths=16, seed=seed)


def test_the_ground_is_white_and_the_product_has_its_colour():
    rgb, mask = shot()
    assert (rgb[mask == 0] == 255).all()
    inside = rgb[mask == 255].astype(float)
    assert inside[:, 0].mean() > inside[:, 1].mean() + 60
    assert inside[:, 0].mean() > 100


def test_the_mask_is_where_the_camera_geometry_puts_it():
    _, mask = shot()
    rows, columns = np.nonzero(mask > 127)
    # the front face is 3.5 away and half a metre to each side: 0.5 / 3.5 / tan(15 degrees) of half the frame
    half = 16 * 0.5 / 3.5 / np.tan(np.radians(15))
    assert abs(columns.min() - (16 - half)) < 1.5
    assert abs(columns.max() + 1 - (16 + half)) < 1.5
    assert rows.mean() < 15.5  # it floats above the middle: up is up


def test_the_same_seed_gives_the_same_pixels_on_any_number_of_threads():
    import drjit

    first = shot(3)
    number = drjit.thread_count()
    drjit.set_thread_count(1 if number > 1 else 2)
    try:
        again = shot(3)
    finally:
        drjit.set_thread_count(number)
    assert (first[0] == again[0]).all()
    assert not (first[0] == shot(4)[0]).all()

"""Things in front hide the product and things behind do not; light falls from where it stands."""

from dataclasses import replace

import numpy as np

from components.synthesis.builtin.customers.camera import Camera
from components.synthesis.builtin.customers.room import Lighting
from components.synthesis.builtin.customers.scene import Body, Scene, body_from_parts, draw_scene, set_beside
from components.synthesis.builtin.parts import Finish, block, moved

CAMERA = Camera(
    position=np.float32([0, -5, 0]), axes=np.float32([[1, 0, 0], [0, 0, 1], [0, 1, 0]]), focal_px=40.0, size_px=32
)
LIGHT = Lighting(
    name="hard", toward=np.float32([-0.8, -0.6, 0]), key=np.ones(3, np.float32), ambient=np.full(3, 0.1, np.float32)
)
GREEN = block((1, 1, 1), (0, 0, 0), Finish(colour=(0.1, 0.9, 0.1), roughness=1.0))


def body(y: float = 0.0, colour: tuple[float, float, float] = (0.1, 0.9, 0.1), *, x: float = 0.0) -> Body:
    made = body_from_parts([moved(GREEN, (x, y, 0))], np.random.default_rng(0))
    plain = np.float32([0, 0, 0, 0])
    return replace(made, pattern=plain, colour=np.tile(np.float32(colour), (len(made.colour), 1)))


def drawn(*others: Body) -> tuple[np.ndarray, float]:
    scene = Scene(product=body(), others=list(others), lighting=LIGHT)
    return draw_scene(scene, CAMERA, np.random.default_rng(0))


def test_only_what_stands_in_front_hides():
    red = (0.9, 0.1, 0.1)
    assert drawn()[1] == 0.0
    assert drawn(body(3.0, red))[1] == 0.0
    picture, hidden = drawn(body(-1.0, red, x=-0.6))
    assert 0.3 < hidden < 0.6
    assert picture[16, 13, 0] > picture[16, 13, 1]
    assert picture[16, 19, 1] > picture[16, 19, 0]


def test_what_would_hide_the_product_is_left_out():
    picture, hidden = drawn(body(-2.0, (0.9, 0.1, 0.1)))
    assert hidden == 0.0
    assert picture[16, 16, 1] > picture[16, 16, 0]


def test_the_product_is_in_the_middle():
    picture, _ = drawn()
    assert picture[16, 16, 1] > 3 * picture[16, 16, 0]


def test_a_print_changes_the_colour_by_place():
    striped = replace(body(), pattern=np.float32([40, 0, 0, 0.8]))
    picture, _ = draw_scene(Scene(product=striped, others=[], lighting=LIGHT), CAMERA, np.random.default_rng(0))
    assert picture[16, 13:19, 1].std() > 3 * drawn()[0][16, 13:19, 1].std() + 0.01


def test_things_beside_stand_on_the_same_floor():
    for seed in range(20):
        beside = set_beside(body(), np.random.default_rng(seed), floor_z=-0.5, toward=np.float32([0, -1, 0.3]))
        assert abs(beside.floor_z + 0.5) < 1e-5

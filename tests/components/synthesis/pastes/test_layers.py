"""Warping puts a cut-out where its placement says; laying it over changes covered pixels alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.pastes.arrangement import Placement
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.layers import cast_shadow, lay_over, warp


def square(side: int = 40) -> Cutout:
    layer = np.zeros((side, side, 4), np.uint8)
    layer[...] = (200, 100, 50, 255)
    levels = (layer, layer[::2, ::2].copy())
    return Cutout(sample_id="s", label="box", group="g", licence=None, levels=levels)


def placed(x: float = 0.5, y: float = 0.5, scale: float = 0.5, turn: float = 0.0) -> Placement:
    shifts = np.zeros((4, 2), np.float32)
    return Placement(centre=(x, y), scale=scale, rotation_deg=turn, mirrored=False, shifts=shifts)


def test_an_upright_square_lands_in_the_middle():
    canvas = np.zeros((80, 80, 3), np.uint8)
    layer, region = warp(square(), placed(), 80)
    alpha = lay_over(canvas, layer, region)
    assert alpha.shape == layer.shape[:2]
    assert (canvas[24:56, 24:56] == (200, 100, 50)).all()
    assert not canvas[:18].any()
    assert not canvas[:, 62:].any()


def test_off_the_frame_there_is_nothing():
    assert warp(square(), placed(x=2.0), 80) is None


@given(st.floats(-0.3, 1.3), st.floats(-0.3, 1.3), st.floats(0.1, 1.5), st.floats(-180, 180))
def test_regions_stay_within_the_frame(x, y, scale, turn):
    warped = warp(square(), placed(x, y, scale, turn), 64)
    if warped is not None:
        layer, (rows, columns) = warped
        assert 0 <= rows.start < rows.stop <= 64
        assert 0 <= columns.start < columns.stop <= 64
        assert layer.shape == (rows.stop - rows.start, columns.stop - columns.start, 4)


def test_a_mirrored_product_is_mirrored():
    layer = np.zeros((40, 40, 4), np.uint8)
    layer[...] = (0, 0, 0, 255)
    layer[:, :20, 0] = 255
    cutout = Cutout(sample_id="s", label="box", group="g", licence=None, levels=(layer,))
    sides = []
    for mirrored in (False, True):
        shifts = np.zeros((4, 2), np.float32)
        place = Placement(centre=(0.5, 0.5), scale=1.0, rotation_deg=0.0, mirrored=mirrored, shifts=shifts)
        warped, _ = warp(cutout, place, 40)
        sides.append(bool(warped[20, 5, 0] > warped[20, 35, 0]))
    assert sides == [True, False]


def test_shadows_darken_beside_the_product_and_leave_the_rest():
    canvas = np.full((80, 80, 3), 200, np.uint8)
    cast_shadow(canvas, *warp(square(), placed(), 80), shift=(6, 6), strength=0.6)
    assert canvas[40, 40, 0] < 120
    assert canvas[62, 62, 0] < 200
    assert (canvas[:12] == 200).all()

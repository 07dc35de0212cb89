"""Sources stand where they are put, have the colours of physics, and give the power that they are asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.synthesis.light.light_sources import (
    ball_weights,
    black_body,
    direction,
    grounded,
    lamp,
    lobe_directions,
    nearest_sun,
    patch,
    room,
    sunlight,
)
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, lobe_solid_angles, lobe_weights, sun_directions


def test_the_middles_of_lobes_touch_one_lobe_only():
    indices, weights = lobe_weights(lobe_directions())
    assert weights.max(axis=1) == pytest.approx(1)
    assert (indices[np.arange(NUM_LOBES), weights.argmax(axis=1)] == np.arange(NUM_LOBES)).all()


def test_azimuth_zero_is_where_the_front_camera_stands():
    assert direction(0, 0) == pytest.approx([0, -1, 0])
    assert direction(90, 0) == pytest.approx([1, 0, 0])
    assert direction(33, 90) == pytest.approx([0, 0, 1])


def test_every_light_on_a_ball_counts_by_its_power():
    uniform = np.zeros(NUM_LIGHTS)
    uniform[:NUM_LOBES] = 1
    assert ball_weights() @ uniform == pytest.approx(1)
    assert ball_weights()[NUM_LOBES:] == pytest.approx(1 / (4 * np.pi))  # a ball's disc is a quarter of its surface


def test_each_sun_is_nearest_to_itself():
    for number, toward in enumerate(sun_directions()):
        assert nearest_sun(toward) == NUM_LOBES + number


def test_black_bodies_redden_as_they_cool():
    colours = np.array([black_body(kelvin) for kelvin in (1800, 2700, 4000, 6500, 10_000)])
    assert (np.diff(colours[:, 0] / colours[:, 2].clip(1e-3)) < 0).all()
    assert colours[3] == pytest.approx(1, abs=0.06)  # sRGB's white is daylight of 6,500 K
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert luminance == pytest.approx(1, abs=0.01)


def test_a_low_or_hazy_sun_is_dim_and_red():
    high, low, hazy = sunlight(60, 2.5), sunlight(6, 2.5), sunlight(60, 7)
    assert (low < high).all() and (hazy < high).all() and (high < 1).all()
    assert low[0] / low[2] > 2 * high[0] / high[2]


@settings(max_examples=40, deadline=None)
@given(st.floats(-180, 180), st.floats(-90, 90), st.floats(14, 60), st.integers(0, 1000))
def test_patches_and_lamps_give_the_power_that_is_asked_for(azimuth, elevation, width, seed):
    toward = direction(azimuth, elevation)
    powers = np.concatenate([lobe_solid_angles(), np.ones(NUM_LIGHTS - NUM_LOBES)])
    assert powers @ patch(toward, width, 1.7) == pytest.approx(1.7)
    lit = lamp(toward, np.random.default_rng(seed), 1.7)
    assert powers @ lit == pytest.approx(1.7)
    assert (lit >= 0).all()


def test_a_patch_shines_from_its_direction():
    toward = direction(40, 20)
    lit = patch(toward, 20, 1.0)[:NUM_LOBES, 0]
    mean = (lit * lobe_solid_angles()) @ lobe_directions()
    assert mean @ toward / np.linalg.norm(mean) > 0.95


def test_rooms_are_darkest_below():
    lit = room(np.random.default_rng(0), np.ones(3), 0.5)[:NUM_LOBES].mean(axis=1)
    up = lobe_directions()[:, 2]
    assert lit[up < -0.4].max() < lit[up > -0.4].min()


def test_the_ground_throws_back_less_than_it_gets():
    lit = np.zeros((NUM_LIGHTS, 3))
    lit[:NUM_LOBES] = (lobe_directions()[:, 2:] > 0) * 1.0
    bounced = grounded(lit, np.random.default_rng(1))
    below = lobe_directions()[:, 2] < 0
    assert 0.02 < bounced[:NUM_LOBES][below].mean() < 0.6
    assert (bounced[:NUM_LOBES][~below] == lit[:NUM_LOBES][~below]).all()

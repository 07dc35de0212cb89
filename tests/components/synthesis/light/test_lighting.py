"""Drawn lights are physical, come from where they say, and keep their energy when they are turned."""

from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.synthesis.light.light_sources import ball_weights, black_body, direction, patch
from components.synthesis.light.lighting import (
    DrawnKind,
    Light,
    LightConfig,
    adapted,
    draw_kind,
    draw_light,
    main_direction,
    turned,
)
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, lobe_solid_angles
from components.synthesis.picture.factors import FactorDraw

KINDS = get_args(DrawnKind)


def drawn(kind: str, seed: int, *, azimuth_deg: float = 0.0, **aimed) -> tuple[Light, dict]:
    factors = FactorDraw(np.random.default_rng(seed), aimed)
    return draw_light(kind, LightConfig(), factors, azimuth_deg=azimuth_deg), factors.columns


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 2**32), st.floats(-180, 180))
def test_every_light_is_positive_finite_and_of_level_one(kind, seed, azimuth):
    light, _ = drawn(kind, seed, azimuth_deg=azimuth)
    assert light.coefficients.shape == (NUM_LIGHTS, 3) and light.coefficients.dtype == np.float32
    assert np.isfinite(light.coefficients).all() and (light.coefficients >= 0).all()
    assert light.level == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_light_is_its_seeds(kind):
    one, again, other = (drawn(kind, seed)[0].coefficients for seed in (4, 4, 5))
    assert (one == again).all() and (one != other).any()


@pytest.mark.parametrize("kind", ["sky", "window", "lamp", "ceiling", "overcast"])
def test_light_comes_from_where_the_factor_says(kind):
    apart = []
    for seed in range(12):
        light, columns = drawn(kind, seed, light_elevation_deg=(0.0, 45.0))
        azimuth, _ = main_direction(light)
        apart.append(abs((azimuth - columns["f_light_azimuth_deg"] + 180) % 360 - 180))
    assert np.median(apart) < 45


def test_the_azimuth_is_seen_from_the_camera():
    """A lamp drawn beside the camera stays beside it when the camera goes round."""
    for camera in (0.0, 70.0, -130.0):
        light, _ = drawn("lamp", 3, azimuth_deg=camera, light_azimuth_deg=(-5.0, 5.0))
        assert abs((main_direction(light)[0] - camera + 180) % 360 - 180) < 25


def test_aims_narrow_what_is_drawn():
    for seed in range(30):
        _, columns = drawn("lamp", seed, light_k=(3000.0, 3100.0), light_azimuth_deg=(80.0, 90.0))
        assert 3000 <= columns["f_light_k"] <= 3100 and 80 <= columns["f_light_azimuth_deg"] <= 90


def test_cold_light_is_bluer_even_after_white_balance():
    tints = []
    for kelvin in (2700.0, 6500.0):
        light, _ = drawn("lamp", 1, light_k=(kelvin, kelvin))
        red, _, blue = ball_weights() @ light.coefficients
        tints.append(red / blue)
    assert tints[0] > 1.15 * tints[1]


def test_a_clear_sky_has_a_sun_and_clouds_have_none():
    assert all(drawn("sky", seed)[0].coefficients[NUM_LOBES:].any() for seed in range(10))
    assert not any(drawn("overcast", seed)[0].coefficients[NUM_LOBES:].any() for seed in range(10))


def test_white_balance_takes_most_of_the_tint_and_no_light():
    lit = patch(direction(10, 30), 20, 2.0) * black_body(2700)
    balanced = adapted(lit)
    before, after = ball_weights() @ lit, ball_weights() @ balanced
    assert after.mean() == pytest.approx(1, rel=1e-4)
    assert 1 < after[0] / after[2] < (before[0] / before[2]) ** 0.5


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(KINDS), st.integers(0, 1000), st.floats(-180, 180))
def test_turning_keeps_energy_in_each_colour(kind, seed, azimuth):
    light, _ = drawn(kind, seed)
    moved = turned(light, azimuth)
    solid = lobe_solid_angles()
    for part, weight in ((slice(0, NUM_LOBES), solid), (slice(NUM_LOBES, None), np.ones(NUM_LIGHTS - NUM_LOBES))):
        before, after = weight @ light.coefficients[part], weight @ moved.coefficients[part]
        assert after == pytest.approx(before, rel=1e-3, abs=1e-6)


def test_turning_moves_the_light_with_the_camera():
    lit = np.zeros((NUM_LIGHTS, 3), np.float32)
    lit += patch(direction(20, 15), 22, 1.0).astype(np.float32)
    light = Light(name="patch", coefficients=lit)
    azimuth, elevation = main_direction(turned(light, 100))
    assert azimuth == pytest.approx(120, abs=6) and elevation == pytest.approx(15, abs=6)


def test_an_even_sky_stays_even_when_turned():
    lit = np.zeros((NUM_LIGHTS, 3), np.float32)
    lit[:NUM_LOBES] = 1
    assert turned(Light(name="even", coefficients=lit), 37).coefficients == pytest.approx(lit, abs=1e-5)


def test_kinds_come_by_their_shares():
    config = LightConfig(shares={"lamp": 3.0, "sky": 1.0, "window": 0.0})
    kinds = [draw_kind(config, FactorDraw(np.random.default_rng(seed))) for seed in range(400)]
    assert set(kinds) == {"lamp", "sky"}
    assert 0.65 < kinds.count("lamp") / 400 < 0.85


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"shares": {}}, "not all be 0"),
        ({"shares": {"lamp": -1.0, "sky": 2.0}}, "must not be negative"),
        ({"shares": {"moon": 1.0}}, "moon"),
        ({"panoramas": ("a.hdr",)}, "go together"),
        ({"shares": {"panorama": 1.0}}, "go together"),
        ({"lamp_k": (900.0, 3000.0)}, "must rise and lie within"),
        ({"sun_elevation_deg": (50.0, 10.0)}, "must rise and lie within"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong, says):
    with pytest.raises(ValidationError, match=says):
        LightConfig(**wrong)

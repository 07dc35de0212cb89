"""Panoramas keep their energy and are refused with their fault; a photo's light comes from where it is bright."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import DataError
from components.synthesis.light.light_sources import ball_weights
from components.synthesis.light.lighting import main_direction, turned
from components.synthesis.light.lobes import NUM_LOBES, lobe_solid_angles
from components.synthesis.light.panoramas import fit_light, light_from_panorama, read_regions, surrounding_level


def even(light: float = 1.0, height: int = 32) -> np.ndarray:
    return np.full((height, 2 * height, 3), light)


def with_sun() -> np.ndarray:
    panorama = even(height=64)
    panorama[12:14, 100:102] = (9000, 6000, 4000)
    return panorama


def energy(panorama: np.ndarray) -> np.ndarray:
    height, width = panorama.shape[:2]
    edges = np.cos(np.arange(height + 1) / height * np.pi)
    return np.einsum("hwc,h->c", panorama, (edges[:-1] - edges[1:]) * 2 * np.pi / width)


def photo(row: int, column: int) -> np.ndarray:
    picture = np.full((96, 96, 3), 70, np.uint8)
    picture[row : row + 14, column : column + 14] = 255
    return picture


def test_an_even_panorama_is_even_light():
    lit = light_from_panorama(even(0.7)).coefficients
    assert lit[:NUM_LOBES] == pytest.approx(0.7, rel=1e-5)
    assert not lit[NUM_LOBES:].any()


def test_a_small_bright_spot_becomes_a_sun_and_no_energy_is_lost():
    light = light_from_panorama(with_sun())
    suns = light.coefficients[NUM_LOBES:]
    assert np.count_nonzero(suns.any(axis=1)) == 1
    assert light.coefficients[:NUM_LOBES].max() < 1.6
    kept = lobe_solid_angles() @ light.coefficients[:NUM_LOBES] + suns.sum(axis=0)
    assert kept == pytest.approx(energy(with_sun()), rel=0.01)
    azimuth, elevation = main_direction(light)
    assert azimuth == pytest.approx(75, abs=20) and elevation == pytest.approx(53, abs=20)


def test_a_wide_window_stays_soft():
    panorama = even(0.1, 64)
    panorama[20:40, 30:60] = 8.0
    assert not light_from_panorama(panorama).coefficients[NUM_LOBES:].any()


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000))
def test_any_panorama_keeps_its_energy_and_stays_positive(seed):
    rng = np.random.default_rng(seed)
    panorama = rng.gamma(0.3, 1.0, (24, 48, 3)) + 1e-3
    light = light_from_panorama(panorama).coefficients.astype(np.float64)
    kept = lobe_solid_angles() @ light[:NUM_LOBES] + light[NUM_LOBES:].sum(axis=0)
    assert kept == pytest.approx(energy(panorama), rel=0.02)
    assert (light >= 0).all()


def test_files_of_each_kind_are_read(tmp_path: Path):
    rgb = with_sun().astype(np.float32)
    cv2.imwrite(str(tmp_path / "sky.hdr"), rgb[..., ::-1])
    assert light_from_panorama(tmp_path / "sky.hdr").level == pytest.approx(light_from_panorama(rgb).level, rel=0.01)
    cv2.imwrite(str(tmp_path / "sky.png"), np.full((16, 32, 3), 188, np.uint8))
    assert light_from_panorama(tmp_path / "sky.png").level == pytest.approx(0.5, rel=0.02)  # sRGB 188 is half of white


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: np.where(np.arange(64)[None, :, None] == 3, np.nan, p), "NaN"),
        (lambda p: p - 2, "negative"),
        (lambda p: p[:, :40], "twice as wide"),
        (lambda p: p[..., 0], "shape"),
        (lambda p: p * 0, "black"),
    ],
)
def test_a_broken_panorama_is_refused_with_its_fault(spoil, says):
    with pytest.raises(DataError, match=says):
        light_from_panorama(spoil(even()))


def test_files_that_are_no_panorama_are_refused_by_name(tmp_path: Path):
    (tmp_path / "broken.hdr").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("sky")
    for name, says in (("none.hdr", "no panorama at"), ("broken.hdr", "cannot be decoded"), ("notes.txt", "suffix")):
        with pytest.raises(DataError, match=says):
            light_from_panorama(tmp_path / name)


@pytest.mark.parametrize(("column", "side"), [(4, -1), (78, 1)])
def test_light_comes_from_the_bright_side_of_the_photo(column, side):
    azimuth, elevation = main_direction(fit_light(read_regions(photo(8, column))))
    assert np.sign(np.sin(np.radians(azimuth))) == side
    assert elevation > 10


def test_a_bright_spot_above_is_a_key_light_and_one_below_is_not():
    assert fit_light(read_regions(photo(6, 60))).coefficients[NUM_LOBES:].any()
    assert not fit_light(read_regions(photo(80, 60))).coefficients[NUM_LOBES:].any()


def test_the_fit_goes_round_with_the_camera():
    regions = read_regions(photo(8, 78))
    there, moved = fit_light(regions, azimuth_deg=90), turned(fit_light(regions), 90)
    assert abs(main_direction(there)[0] - main_direction(moved)[0]) < 20


def test_a_photos_tint_colours_its_light_a_little():
    blue = np.full((96, 96, 3), (60, 90, 160), np.uint8)
    red, _, cold = ball_weights() @ fit_light(read_regions(blue)).coefficients
    assert 1.02 < cold / red < 2


def test_bright_surroundings_ask_for_bright_objects():
    levels = [surrounding_level(read_regions(np.full((64, 64, 3), value, np.uint8))) for value in (10, 90, 150, 250)]
    assert levels == sorted(levels) and levels[0] == 0.1 and levels[-1] == 1.0

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import DataError
from components.synthesis.light.lobes import (
    NUM_LIGHTS,
    NUM_LOBES,
    NUM_SUNS,
    evaluate,
    ground_irradiance,
    lobe_solid_angles,
    lobe_weights,
    panorama_directions,
    project,
    sun_directions,
)


def directions(seed: int, count: int = 500) -> np.ndarray:
    drawn = np.random.default_rng(seed).normal(size=(count, 3))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@given(st.integers(0, 2**32 - 1))
def test_lobes_share_every_direction_out(seed: int) -> None:
    indices, weights = lobe_weights(directions(seed))
    assert indices.min() >= 0 and indices.max() < NUM_LOBES
    assert weights.min() >= 0
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_no_seam_shows_between_neighbouring_directions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    here = directions(seed)
    here[:40, 2] = 0  # the equator and the map's corners are where the octahedron folds
    here[40:60] = [0, 0, -1]
    here = here + rng.normal(size=here.shape) * 1e-9
    here /= np.linalg.norm(here, axis=1, keepdims=True)
    there = here + rng.normal(size=here.shape) * 1e-7
    there /= np.linalg.norm(there, axis=1, keepdims=True)
    coefficients = rng.random((NUM_LOBES, 3))
    assert np.abs(evaluate(coefficients, here) - evaluate(coefficients, there)).max() < 1e-4


def test_axes_point_where_they_are_said_to() -> None:
    sky = project(lambda d: (d[:, [2]] > 0).astype(float) * np.ones(3))
    above, right = evaluate(sky, np.array([[0, 0, 1.0], [0, 0, -1.0]])), None
    assert above[0, 0] > 0.95 and above[1, 0] < 0.05
    panorama = np.zeros((32, 64, 3))
    panorama[12:20, 44:52] = 1  # right of the middle column, at the horizon
    right = evaluate(project(panorama), np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.0, 0], [0, -1.0, 0]]))
    assert right[0, 0] > 5 * right[1:, 0].max()
    assert panorama_directions(3, 5)[1, 2] == pytest.approx([0, 1, 0])


@pytest.mark.parametrize("shape", [(7, 12), (64, 128)])
def test_a_uniform_panorama_stays_as_it_is(shape: tuple[int, int]) -> None:
    assert project(np.full((*shape, 3), 0.7)) == pytest.approx(0.7)


@given(st.integers(0, 2**32 - 1))
def test_projection_keeps_energy_and_adds_no_negative_light(seed: int) -> None:
    panorama = np.random.default_rng(seed).gamma(0.3, 1, (48, 96, 3))
    coefficients = project(panorama)
    edges = np.cos(np.arange(49) / 48 * np.pi)
    pixel = (edges[:-1] - edges[1:]) * 2 * np.pi / 96
    energy = (panorama * pixel[:, None, None]).sum(axis=(0, 1))
    assert coefficients.min() >= 0
    np.testing.assert_allclose(lobe_solid_angles() @ coefficients, energy, rtol=0.02)


@pytest.mark.parametrize("panorama", [np.zeros((4, 8)), np.zeros((4, 8, 4)), np.full((4, 8, 3), np.nan)])
def test_what_is_no_panorama_is_named(panorama: np.ndarray) -> None:
    with pytest.raises(DataError, match="panorama"):
        project(panorama)


def test_suns_stand_over_the_horizon_and_apart() -> None:
    suns = sun_directions()
    elevation = np.degrees(np.arcsin(suns[:, 2]))
    assert suns.shape == (NUM_SUNS, 3) and elevation.min() > 8 and elevation.max() < 85
    nearest = np.degrees(np.arccos((suns @ suns.T - 2 * np.eye(NUM_SUNS)).max(axis=1)))
    assert nearest.min() > 10


def test_bare_ground_under_a_uniform_sky_receives_pi() -> None:
    irradiance = ground_irradiance()
    assert irradiance.shape == (NUM_LIGHTS,)
    assert irradiance[:NUM_LOBES].sum() == pytest.approx(np.pi, rel=1e-3)
    assert irradiance[NUM_LOBES:] == pytest.approx(sun_directions()[:, 2])

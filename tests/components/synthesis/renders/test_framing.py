"""Objects land where they are placed, shadows darken and never brighten, and masks tell what is seen."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.synthesis.light.lobes import NUM_LIGHTS
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.framing import (
    Placement,
    cover,
    draw_occlusion,
    draw_placement,
    geometry,
    place_mask,
    set_in,
    silhouette,
)
from components.synthesis.renders.relighting import prepare, relight

SIZE = 64


@pytest.fixture(scope="module")
def shape(ball):
    return silhouette(ball())


@pytest.fixture(scope="module")
def relit(ball):
    return relight(prepare(ball()), np.full((1, NUM_LIGHTS, 3), 0.4, np.float32))[0]


def placed(**changes) -> Placement:
    plain = {"size_px": SIZE, "centre": (31.5, 31.5), "zoom": 1.0, "turn_deg": 0.0}
    return Placement(**(plain | changes))


def middle(mask: np.ndarray) -> tuple[float, float]:
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]]
    weights = mask.astype(float) / mask.sum()
    return float((columns * weights).sum()), float((rows * weights).sum())


@settings(max_examples=60, deadline=None)
@given(st.floats(20, 44), st.floats(20, 44), st.floats(0.3, 1.1), st.floats(-180, 180))
def test_masks_have_the_place_and_size_that_was_asked_for(shape, x, y, zoom, turn):
    mask = place_mask(shape, placed(centre=(x, y), zoom=zoom, turn_deg=turn))
    assert middle(mask) == pytest.approx((x, y), abs=0.3)
    assert mask.sum(dtype=float) / 255 == pytest.approx(shape.area_px * zoom**2, rel=0.08)


def test_a_view_at_its_own_size_is_not_resampled(ball, shape):
    transfer = ball()
    same = place_mask(shape, placed(size_px=48, centre=shape.middle))
    assert (same == shape.coverage).all()
    assert (same > 127).sum() == (transfer.alpha > 0.5).sum()


def test_turns_are_clockwise(shape):
    """A mark to the right of the middle goes down when the object turns clockwise."""
    mark = np.zeros_like(shape.coverage)
    mark[22:26, 36:40] = 255
    x, y = middle(place_mask(replace(shape, coverage=mark), placed(turn_deg=90.0)))
    assert x == pytest.approx(31.5, abs=1) and y > 40


def test_the_object_covers_the_background_and_shades_the_ground_alone(shape, relit):
    background = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    picture = set_in(background.copy(), relit, shape, placed())
    mask = place_mask(shape, placed())
    outside = mask == 0
    assert (picture[outside] <= background[outside] + 1e-5).all()
    assert picture[outside].min() < 0.3
    assert picture[:12] == pytest.approx(0.5, abs=1e-5)
    dark = set_in(np.zeros((SIZE, SIZE, 3), np.float32), relit, shape, placed())
    inside = mask == 255
    assert picture[inside] == pytest.approx(dark[inside])


def test_off_the_view_the_background_stays_as_it_is(shape, relit):
    background = np.random.default_rng(0).random((SIZE, SIZE, 3), np.float32)
    picture = set_in(background.copy(), relit, shape, placed(centre=(10.0, 31.5), zoom=0.4))
    assert (picture[:, 40:] == background[:, 40:]).all()


def test_small_copies_keep_their_brightness(shape, relit):
    """Far below half of its size an object is averaged, not sampled."""
    large, small = (
        set_in(np.zeros((SIZE, SIZE, 3), np.float32), relit, shape, placed(zoom=zoom)).sum() / zoom**2
        for zoom in (1.0, 0.3)
    )
    assert small == pytest.approx(large, rel=0.05)


def test_drawn_objects_have_the_drawn_size(shape):
    for seed in range(40):
        factors = FactorDraw(np.random.default_rng(seed))
        placement = draw_placement(shape, RendersConfig(), factors, SIZE)
        assert placement.zoom * shape.side_px == pytest.approx(factors.columns["f_scale"] * SIZE)
        assert 0.4 <= factors.columns["f_scale"] <= 1.05
        assert abs(placement.turn_deg) <= 6


def occluded(mask: np.ndarray, seed: int, **aimed):
    factors = FactorDraw(np.random.default_rng(seed), aimed)
    return draw_occlusion(mask, RendersConfig(), factors), factors.columns


def test_occlusion_is_what_is_really_hidden_and_near_what_was_asked(shape):
    mask = place_mask(shape, placed())
    apart = []
    for seed in range(30):
        occlusion, columns = occluded(mask, seed, occlusion=(0.2, 0.3))
        if occlusion is None:
            assert columns["f_occlusion"] == 0 and columns["f_occluder"] == "none"
            continue
        left = mask.copy()
        cover(np.zeros((SIZE, SIZE, 3), np.float32), left, occlusion, level=0.5)
        assert columns["f_occlusion"] == pytest.approx(1 - left.sum() / mask.sum(), abs=0.01)
        assert columns["f_occlusion"] <= 0.6
        apart.append(abs(columns["f_occlusion"] - 0.25))
    assert len(apart) > 20 and np.median(apart) < 0.1


def test_occluders_are_as_rare_as_configured(shape):
    mask = place_mask(shape, placed())
    shown = [occluded(mask, seed)[0] is not None for seed in range(300)]
    assert 0.2 < np.mean(shown) < 0.4


def test_nothing_covers_what_is_not_there():
    occlusion, columns = occluded(np.zeros((SIZE, SIZE), np.uint8), 0, occlusion=(0.3, 0.4))
    assert occlusion is None and columns["f_occluder"] == "none"


def test_what_covers_is_lit_by_its_surroundings(shape):
    mask = place_mask(shape, placed())
    occlusion = next(found for seed in range(30) if (found := occluded(mask, seed, occlusion=(0.2, 0.3))[0]))
    pictures = []
    for level in (0.25, 0.5):
        scene = np.zeros((SIZE, SIZE, 3), np.float32)
        cover(scene, mask.copy(), occlusion, level=level)
        pictures.append(scene)
    assert pictures[1] == pytest.approx(2 * pictures[0]) and pictures[1].max() > 0


def test_depth_and_normals_follow_the_placement(ball, shape):
    transfer, place = ball(azimuth_deg=70.0), placed(centre=(40.0, 24.0), zoom=0.8, turn_deg=20.0)
    mask = place_mask(shape, place)
    found = geometry(transfer, shape, place, mask)
    assert ((found.depth > 0) == (mask > 127)).all()
    assert found.depth[24, 40] == pytest.approx(2.7, abs=0.02)  # the ball's nearest point
    rows, columns = np.nonzero(found.depth)
    radius = 0.8 * 0.35 * 48
    x, y = (columns - 40) / radius, -(rows - 24) / radius
    toward = np.sqrt(np.clip(1 - x * x - y * y, 0, None))
    inside = toward > 0.3  # at the rim a pixel spans a wide range of normals
    expected = np.stack([x, y, toward], axis=-1)[inside]
    assert found.normals[rows, columns][inside] == pytest.approx(expected, abs=0.2)
    assert np.abs(found.normals[rows, columns][inside] - expected).mean() < 0.03
    assert found.depth[rows, columns][inside] == pytest.approx(3.0 - 0.3 * toward[inside], abs=0.05)
    assert np.linalg.norm(found.normals[rows, columns], axis=1) == pytest.approx(1, abs=0.002)


@pytest.mark.parametrize("turn_deg", [0.0, 90.0, 143.0])
@pytest.mark.parametrize("zoom", [0.35, 1.4])
def test_a_plane_has_the_depth_of_its_points_and_one_normal(ball, turn_deg, zoom):
    """A plane across the whole view, nearer on the right: depth is linear in the picture, the normal is constant."""
    view = replace(ball().view, azimuth_deg=-35.0, elevation_deg=25.0, roll_deg=10.0)
    right, up, forward = view.frame
    leaning = np.array([0.6, 0.0, 0.8])  # right, up, towards the camera
    columns = np.broadcast_to(np.arange(48), (48, 48))
    alpha = np.zeros((48, 48), np.float16)
    alpha[8:40, 12:36] = 1
    transfer = replace(
        ball(),
        view=view,
        alpha=alpha,
        depth=((2.0 - 0.01 * columns) * (alpha > 0)).astype(np.float16),
        normals=((leaning @ np.stack([right, up, -forward])) * (alpha > 0)[..., None]).astype(np.float16),
    )
    plane, place = silhouette(transfer), placed(zoom=zoom, turn_deg=turn_deg, centre=(30.0, 34.0))
    found = geometry(transfer, plane, place, place_mask(plane, place))
    rows, places = np.nonzero(found.depth)
    turn = np.radians(turn_deg)
    back = 23.5 + ((places - 30.0) * np.cos(turn) + (rows - 34.0) * np.sin(turn)) / zoom
    assert len(rows) == pytest.approx(32 * 24 * zoom**2, rel=0.1)
    assert found.depth[rows, places] == pytest.approx(2.0 - 0.01 * back, abs=0.012)  # a pixel of the view, and f16
    seen = [0.6 * np.cos(turn), -0.6 * np.sin(turn), 0.8]
    assert found.normals[rows, places] == pytest.approx(np.tile(seen, (len(rows), 1)), abs=2e-3)

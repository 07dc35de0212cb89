"""The camera keeps what a plain shot must keep, and every drawn number changes the picture the way it says."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from components.synthesis.picture.camera import CameraConfig, Shot, draw_shot, take_picture, to_linear
from components.synthesis.picture.factors import FactorDraw

EVERY_LEVEL = np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 8, 3))


def grey(level: float, size: int = 48) -> np.ndarray:
    return np.full((size, size, 3), level, np.float32)


def edge() -> np.ndarray:
    scene = grey(0.1)
    scene[:, 24:] = 0.5
    return scene


def steepest(picture: np.ndarray, *, axis: int = 1) -> int:
    return int(np.abs(np.diff(picture[..., 1].astype(int), axis=axis)).max())


def drawn(seed: int, config: CameraConfig | None = None, **aimed) -> tuple[Shot, dict]:
    factors = FactorDraw(np.random.default_rng(seed), aimed)
    return draw_shot(config or CameraConfig(), factors, 128), factors.columns


def test_a_plain_shot_gives_srgb_back_below_its_highlights():
    taken = take_picture(EVERY_LEVEL, Shot()).astype(int)
    dark = EVERY_LEVEL < 230
    assert np.abs(taken - EVERY_LEVEL)[dark].max() <= 1
    assert taken[-1].min() >= 245
    assert (np.diff(taken[:, 0, 0]) >= 0).all()


def test_a_picture_and_its_linear_light_are_taken_alike():
    rng = np.random.default_rng(3)
    scene = rng.integers(0, 256, (40, 40, 3), np.uint8)
    shot = Shot(exposure_ev=-0.4, warmth=0.3, blur_px=1.0, noise=0.02, noise_seed=77, vignette=0.2)
    assert (take_picture(scene, shot) == take_picture(to_linear(scene), shot)).all()


def test_the_scene_is_left_as_it_is():
    scene = edge()
    before = scene.copy()
    take_picture(scene, Shot(exposure_ev=1.0, warmth=0.5, noise=0.03, contrast=0.2))
    assert (scene == before).all()


def test_a_stop_doubles_the_light():
    one, two = (take_picture(grey(0.1), Shot(exposure_ev=ev)) for ev in (0.0, 1.0))
    assert to_linear(two).mean() / to_linear(one).mean() == pytest.approx(2, rel=0.03)


def test_warmth_is_the_log_of_red_to_blue():
    red, _, blue = to_linear(take_picture(grey(0.2), Shot(warmth=0.4))).mean(axis=(0, 1))
    assert np.log(red / blue) == pytest.approx(0.4, abs=0.03)


def test_corners_lose_light_and_the_fall_of_light_goes_where_it_says():
    taken = take_picture(grey(0.3), Shot(vignette=0.3)).astype(int)
    assert taken[24, 24, 0] > taken[0, 24, 0] > taken[0, 0, 0]
    taken = take_picture(grey(0.3), Shot(falloff=(0.5, 0, 0, 0))).astype(int)
    assert taken[0, 0, 0] > taken[0, -1, 0] == taken[-1, -1, 0]


def test_lens_blur_softens_edges():
    sharp = steepest(take_picture(edge(), Shot()))
    assert steepest(take_picture(edge(), Shot(blur_px=2.0))) < sharp / 2


def test_a_streak_softens_only_what_it_crosses():
    sharp = steepest(take_picture(edge(), Shot()))
    across, along = (take_picture(edge(), Shot(motion_px=6.0, motion_deg=deg)) for deg in (0.0, 90.0))
    assert steepest(across) < sharp / 2 < steepest(along)


def test_blur_keeps_the_light():
    scene = np.zeros((49, 49, 3), np.float32)
    scene[24, 24] = 0.9
    for shot in (Shot(blur_px=1.5), Shot(motion_px=5.0, motion_deg=37.0)):
        spread = to_linear(take_picture(scene, shot))
        assert spread.sum() == pytest.approx(3 * 0.9, rel=0.15)  # within what 8 bits can tell


def test_noise_leaves_the_mean_and_has_the_stated_size():
    clean = take_picture(grey(0.35, 96), Shot()).astype(float)
    noisy = take_picture(grey(0.35, 96), Shot(noise=0.03, noise_seed=9)).astype(float)
    assert abs(noisy.mean() - clean.mean()) < 1.0
    assert noisy.std() / 255 == pytest.approx(0.03, rel=0.25)


def test_noise_belongs_to_its_seed():
    one, again, other = (take_picture(grey(0.3), Shot(noise=0.03, noise_seed=seed)) for seed in (5, 5, 6))
    assert (one == again).all()
    assert (one != other).any()


def test_contrast_parts_dark_from_bright_and_keeps_black_white_and_order():
    plain, strong = (take_picture(EVERY_LEVEL, Shot(contrast=c))[:, 0, 0].astype(int) for c in (0.0, 0.5))
    assert strong[60] < plain[60] and strong[190] > plain[190]
    assert strong[0] == 0 and (np.diff(strong) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 3.9))
def test_any_shot_of_any_light_gives_a_picture(seed, light):
    shot, _ = drawn(seed)
    taken = take_picture(grey(light, 16), shot)
    assert taken.shape == (16, 16, 3) and taken.dtype == np.uint8


def test_draws_keep_to_the_ranges_and_are_noted():
    config = CameraConfig(exposure_ev=(-0.5, 0.2), blur_px=0.8, noise=0.01, jpeg_quality=(70, 72))
    for seed in range(150):
        shot, columns = drawn(seed, config)
        assert -0.5 <= shot.exposure_ev <= 0.2
        assert 0 <= shot.blur_px <= 0.8 and shot.noise <= 0.01
        assert 70 <= shot.jpeg_quality <= 72
        assert columns["f_blur_px"] == shot.blur_px and columns["f_exposure_ev"] == shot.exposure_ev


def test_about_half_of_all_pictures_are_sharp():
    shots = [drawn(seed)[0] for seed in range(600)]
    assert 0.4 < np.mean([not shot.blur_px and not shot.motion_px for shot in shots]) < 0.62


def test_blur_scales_with_the_frame_but_its_factor_does_not():
    small, large = (FactorDraw(np.random.default_rng(8), {"blur_px": (1.0, 1.2)}) for _ in range(2))
    assert draw_shot(CameraConfig(), large, 256).blur_px == 2 * draw_shot(CameraConfig(), small, 128).blur_px
    assert large.columns["f_blur_px"] == small.columns["f_blur_px"]


def test_an_aim_at_blur_makes_every_picture_blurred():
    for seed in range(50):
        assert 1.0 <= drawn(seed, blur_px=(1.0, 1.2))[0].blur_px <= 1.2


@pytest.mark.parametrize("wrong", [{"exposure_ev": (1, -1)}, {"contrast": (0, 2)}, {"jpeg_quality": (5, 90)}])
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError, match="must rise and lie within"):
        CameraConfig(**wrong)

"""Exposure changes brightness, colour and sharpness as it says."""

from dataclasses import replace

import numpy as np

from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.exposure import Exposure, choose_exposure, expose

PLAIN = Exposure(gain=1.0, cast=np.ones(3, np.float32), blur_px=0.0, motion_deg=None, noise=0.0, jpeg_quality=90)


def taken(exposure: Exposure, canvas: np.ndarray) -> np.ndarray:
    return expose(canvas, exposure, np.random.default_rng(0)).astype(float)


def checker() -> np.ndarray:
    canvas = np.full((32, 32, 3), 60, np.uint8)
    canvas[:, 16:] = 140
    return canvas


def test_gain_and_cast_scale_the_channels():
    grey = np.full((32, 32, 3), 100, np.uint8)
    plain = taken(PLAIN, grey)
    assert 1.4 < taken(replace(PLAIN, gain=1.5), grey).mean() / plain.mean() < 1.6
    warm = taken(replace(PLAIN, cast=np.float32([1.2, 1, 0.8])), grey)
    assert warm[..., 0].mean() > warm[..., 1].mean() > warm[..., 2].mean()


def test_blur_and_motion_soften_edges():
    sharp = np.abs(np.diff(taken(PLAIN, checker())[16, :, 0])).max()
    assert np.abs(np.diff(taken(replace(PLAIN, blur_px=2.0), checker())[16, :, 0])).max() < sharp / 2
    along, across = (taken(replace(PLAIN, blur_px=2.0, motion_deg=d), checker())[16, :, 0] for d in (90.0, 0.0))
    assert np.abs(np.diff(across)).max() < sharp / 2 < np.abs(np.diff(along)).max()


def test_noise_is_the_same_for_the_same_seed():
    noisy = replace(PLAIN, noise=0.05)
    first, again = taken(noisy, checker()), taken(noisy, checker())
    assert (first == again).all()
    assert (first - taken(PLAIN, checker())).std() > 5


def test_draws_keep_to_the_configured_ranges():
    config, rng = (
        SynthesisConfig(light=(0.8, 0.9), blur_px=1.0, noise=0.02, jpeg_quality=(70, 72)),
        np.random.default_rng(1),
    )
    for _ in range(200):
        exposure = choose_exposure(config, rng)
        assert 0.8 <= exposure.gain <= 0.9
        assert exposure.blur_px <= 1.0
        assert exposure.noise <= 0.02
        assert 70 <= exposure.jpeg_quality <= 72

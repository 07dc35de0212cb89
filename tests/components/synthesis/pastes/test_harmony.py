"""Harmonising draws a product part of the way to its background, and leaves its outline alone."""

import numpy as np
import pytest

from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.harmony import harmonise


def product() -> Cutout:
    layer = np.zeros((40, 40, 4), np.uint8)
    layer[5:35, 5:35] = (150, 150, 150, 255)
    layer[5, 5:35] = (75, 75, 75, 128)
    levels = (layer, layer[::2, ::2].copy(), layer[::4, ::4].copy())
    return Cutout(sample_id="s", label="x", group="g", licence=None, levels=levels)


def ground(*colour: int) -> np.ndarray:
    canvas = np.zeros((32, 32, 4), np.uint8)
    canvas[..., :3] = np.random.default_rng(0).normal(colour, 50, (32, 32, 3)).clip(0, 255)
    return canvas


def fitted(canvas: np.ndarray, strength: float) -> np.ndarray:
    return harmonise(product(), canvas, strength, sides_px=(0, 1000)).levels[0]


def test_strength_nought_changes_nothing():
    assert (fitted(ground(200, 60, 20), 0.0) == product().levels[0]).all()


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_colour_and_light_move_towards_the_background(strength):
    warm, dark = fitted(ground(160, 110, 60), strength)[20, 20], fitted(ground(30, 30, 30), strength)[20, 20]
    assert warm[0] > warm[1] > warm[2]
    assert dark[1] < 150 and dark[1] > 30


def test_coverage_and_transparency_stay():
    layer = fitted(ground(200, 200, 40), 1.0)
    assert (layer[..., 3] == product().levels[0][..., 3]).all()
    assert not layer[:5].any()


def test_only_levels_that_are_asked_for_are_kept():
    sizes = [level.shape[0] for level in harmonise(product(), ground(9, 9, 9), 1.0, sides_px=(15, 18)).levels]
    assert sizes == [20]
    assert len(harmonise(product(), ground(9, 9, 9), 1.0, sides_px=(500, 900)).levels) == 1

"""The mask says exactly where the product is seen; factors say what was done."""

import io

import cv2
import numpy as np
from PIL import Image

from components.synthesis.backgrounds import Background
from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.composition import Assets, compose
from components.synthesis.pastes.cutouts import Cutout

PLAIN = {
    "size_px": 64,
    "heap_probability": 0,
    "row_probability": 0,
    "clutter_probability": 0,
    "occlusion_probability": 0,
    "light": (1.0, 1.0),
    "warmth": 0,
    "blur_px": 0,
    "noise": 0,
    "jpeg_quality": (95, 95),
}


def assets() -> Assets:
    layer = np.zeros((60, 40, 4), np.uint8)
    layer[...] = (20, 230, 20, 255)
    cutout = Cutout(sample_id="c", label="box", group="g", licence=None, levels=(layer,))
    red = layer.copy()
    red[...] = (200, 10, 10, 255)
    other = Cutout(sample_id="d", label="red", group="h", licence=None, levels=(red,))
    blue = np.full((90, 120, 3), (30, 30, 160), np.uint8)
    background = Background(sample_id="b", kind="photo", licence=None, pixels=blue)
    return Assets(cutouts={"box": [cutout], "red": [other]}, backgrounds=[background])


def made(seed: int, **changes: object) -> tuple[np.ndarray, np.ndarray, dict]:
    config = SynthesisConfig.model_validate(PLAIN | changes)
    paste = compose(assets(), config, "box", np.random.default_rng(seed))
    return np.asarray(Image.open(io.BytesIO(paste.encoded))).astype(int), paste.mask, paste.factors


def is_green(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 1] > np.maximum(rgb[..., 0], rgb[..., 2]) + 30


def test_the_mask_is_where_the_product_is():
    for seed in range(12):
        rgb, mask, _ = made(seed)
        assert mask.any()
        assert (is_green(rgb) == (mask > 127)).mean() > 0.97


def test_what_is_covered_is_not_in_the_mask():
    hidden = []
    for seed in range(30):
        rgb, mask, factors = made(seed, occlusion_probability=1)
        if factors["f_occluder"] != "product":  # which may be of the same class
            near = cv2.dilate(mask, np.ones((5, 5), np.uint8))  # JPEG spreads colour by a pixel or two
            assert (is_green(rgb) & (near < 64)).mean() < 0.01
            solid = cv2.erode(mask, np.ones((5, 5), np.uint8)) > 127
            assert (~is_green(rgb) & solid).mean() < 0.01
        hidden.append(factors["f_occlusion"])
        assert (factors["f_occluder"] == "none") <= (factors["f_occlusion"] == 0.0)
    assert max(hidden) <= 0.6
    assert np.mean(np.array(hidden) > 0.02) > 0.3


def test_heaps_fill_the_frame():
    _, mask, factors = made(1, heap_probability=1)
    assert factors["f_arrangement"] == "heap"
    assert (mask > 127).mean() > 0.6


def test_clutter_is_counted_and_not_in_the_mask():
    counts = [made(seed, clutter_probability=1)[2]["f_clutter"] for seed in range(5)]
    assert min(counts) >= 2


def test_light_and_scale_are_what_the_factors_say():
    _, _, factors = made(3, light=(0.7, 0.7), scale=(0.5, 0.5))
    assert factors["f_light"] == 0.7 or abs(factors["f_light"] - 0.7) < 1e-6
    assert factors["f_scale"] == 0.5

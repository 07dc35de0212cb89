"""Segmentation finds products on white and elsewhere, keeps white faces, drops shadows; a user's model is checked."""

import sys
import types

import cv2
import numpy as np
import pytest

from components.core.errors import ConfigError, DataError
from components.synthesis.pastes.segmentation import load_segmenter, segment


def box(face: int, *, ground: int = 255) -> np.ndarray:
    """A carton, its left half red and its right half nearly white."""
    pixels = np.full((160, 160, 3), ground, np.uint8)
    pixels[30:130, 50:80] = (200, 40, 40)
    pixels[30:130, 80:110] = face
    pixels[60:70, 50:110] = (30, 30, 90)
    return pixels


@pytest.mark.parametrize("face", [200, 240, 246])
def test_white_faces_belong_to_the_product(face):
    solid = segment(box(face)) > 0
    assert solid[32:128, 52:108].mean() > 0.98
    assert not solid[:26].any() and not solid[:, 116:].any()


def test_an_off_white_studio_is_no_face():
    solid = segment(box(200, ground=244)) > 0
    assert solid[32:128, 52:108].mean() > 0.98
    assert solid[:26].mean() == 0


def with_shadow() -> tuple[np.ndarray, np.ndarray]:
    pixels = box(200).astype(np.float32)
    pixels[30:130, 80:110] = (60, 140, 220)
    ramp = np.full((160, 160), 255, np.float32)
    reach = np.linspace(20, 255, 45)
    ramp[116:134, 90:135] = reach
    ramp = cv2.GaussianBlur(ramp, (0, 0), 8)
    shadow = (ramp < 250) & (np.arange(160)[None, :] >= 110)
    pixels[:, 110:] = ramp[:, 110:, None]
    return pixels.astype(np.uint8), shadow


def test_a_cast_shadow_is_taken_off_and_the_product_kept():
    pixels, shadow = with_shadow()
    solid = segment(pixels) > 0
    assert solid[shadow].mean() < 0.15
    assert solid[32:128, 52:108].mean() > 0.97


def test_a_grey_foot_within_the_product_is_no_shadow():
    pixels = box(120)
    pixels[115:130, 50:110] = np.linspace(90, 235, 60).astype(np.uint8)[None, :, None]
    assert (segment(pixels) > 0)[32:128, 52:100].mean() > 0.97


def use(monkeypatch: pytest.MonkeyPatch, function: object) -> None:
    module = types.ModuleType("somebodys_model")
    module.cover = function  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "somebodys_model", module)


def test_a_users_model_is_asked(monkeypatch):
    use(monkeypatch, lambda rgb: np.full(rgb.shape[:2], 200, np.uint8))
    assert (load_segmenter("somebodys_model:cover")(box(240)) == 200).all()


def test_a_users_model_cannot_change_the_picture(monkeypatch):
    def cover(rgb: np.ndarray) -> np.ndarray:
        rgb[:] = 0
        return rgb[..., 0]

    use(monkeypatch, cover)
    pixels = box(240)
    load_segmenter("somebodys_model:cover")(pixels)
    assert (pixels == box(240)).all()


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        (lambda rgb: None, "must return an array, got NoneType"),
        (lambda rgb: np.zeros((3, 3), np.uint8), r"of shape \(160, 160\), got uint8 \(3, 3\)"),
        (lambda rgb: np.zeros(rgb.shape[:2], np.float32), "must return uint8"),
        (lambda rgb: np.ones(rgb.shape[:2], np.uint8), "multiply by 255"),
        (lambda rgb: 1 // 0, "failed: ZeroDivisionError"),
    ],
)
def test_a_users_model_that_answers_wrongly_is_named(monkeypatch, answer, named):
    use(monkeypatch, answer)
    with pytest.raises(DataError, match=named):
        load_segmenter("somebodys_model:cover")(box(240))


@pytest.mark.parametrize(
    ("name", "named"),
    [
        ("no_colon", "must read"),
        ("os:", "must read"),
        (":f", "must read"),
        ("not_there_at_all:f", "cannot be imported"),
        ("..x:f", "cannot be imported"),
        ("os:not_there", "has no function"),
        ("os:sep", "is a str, not a function"),
    ],
)
def test_a_model_that_is_not_there_is_a_clear_error(name, named):
    with pytest.raises(ConfigError, match=named):
        load_segmenter(name)

"""Products are cut out where they are, and a doubtful cut-out is reported, never used."""

import numpy as np
import pytest

from components.core.errors import DataError
from components.synthesis.pastes.cutouts import Cutout, cut_out, list_doubts
from components.synthesis.pastes.doubts import DoubtfulCutout
from components.synthesis.picture.pictures import encode_png


def disc(colour, ground, radius=30, side=100) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[:side, :side]
    inside = (x - side / 2) ** 2 + (y - side / 2) ** 2 < radius**2
    return np.where(inside[..., None], np.uint8(colour), np.uint8(ground)).astype(np.uint8), inside


def cut(pixels: np.ndarray, **columns: object) -> Cutout | DoubtfulCutout:
    row = {"sample_id": "s" * 32, "label": "pear", "image": {"bytes": encode_png(pixels), "path": None}}
    return cut_out(row | columns, size_px=100)


@pytest.mark.parametrize("ground", [(255, 255, 255), (250, 248, 252), (40, 90, 160)])
def test_the_product_is_found_on_white_and_elsewhere(ground):
    pixels, inside = disc((200, 60, 20), ground)
    found = cut(pixels)
    assert isinstance(found, Cutout)
    height, width = found.levels[0].shape[:2]
    assert abs(height - 60) <= 4
    assert abs(width - 60) <= 4
    assert (found.levels[0][..., 3] > 127).sum() == pytest.approx(inside.sum(), rel=0.08)


def test_white_inside_the_product_is_kept():
    pixels, _ = disc((200, 60, 20), (255, 255, 255))
    pixels[45:55, 45:55] = 255
    found = cut(pixels)
    assert isinstance(found, Cutout)
    assert found.levels[0][30, 30].tolist() == [255, 255, 255, 255]


def test_edges_carry_the_products_colour_not_the_studios():
    import cv2

    pixels, _ = disc((150, 30, 10), (255, 255, 255))
    found = cut(cv2.GaussianBlur(pixels, (0, 0), 1.0))
    assert isinstance(found, Cutout)
    layer = found.levels[0].astype(np.float32)
    edge = (layer[..., 3] > 60) & (layer[..., 3] < 220)
    blue = layer[..., 2][edge] * 255 / layer[..., 3][edge]
    assert edge.sum() > 20
    assert blue.mean() < 60  # a white fringe would be near 130


def test_a_renderers_mask_is_taken_as_it_is():
    pixels, _ = disc((255, 255, 255), (255, 255, 255))
    mask = np.zeros((100, 100), np.uint8)
    mask[20:40, 30:70] = 255
    found = cut(pixels, mask=encode_png(mask))
    assert isinstance(found, Cutout)
    assert (found.levels[0][..., 3] > 0).sum() == 20 * 40


def test_transparency_is_a_mask():
    rgba = np.zeros((50, 50, 4), np.uint8)
    rgba[10:30, 10:30] = (10, 200, 10, 255)
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(rgba).save(buffer, format="PNG")
    row = {"sample_id": "s", "label": "pear", "image": {"bytes": buffer.getvalue(), "path": None}}
    found = cut_out(row, size_px=50)
    assert isinstance(found, Cutout)
    assert (found.levels[0][..., 3] == 255).sum() == 400


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.full((60, 60, 3), 255, np.uint8), "almost empty"),
        (np.full((60, 60), 255, np.uint8), "almost empty"),
        (np.full((4, 4, 3), 30, np.uint8), "fills the picture"),
        (np.zeros((1, 1, 3), np.uint8), "fills the picture|almost empty"),
    ],
)
def test_doubtful_cutouts_are_reported(pixels, reason):
    found = cut(pixels)
    assert isinstance(found, DoubtfulCutout)
    assert any(part in found.reason for part in reason.split("|"))


def test_a_mask_of_another_shape_is_reported():
    pixels, _ = disc((200, 60, 20), (255, 255, 255))
    found = cut(pixels, mask=encode_png(np.full((50, 40), 255, np.uint8)))
    assert isinstance(found, DoubtfulCutout)
    assert "differ in shape" in found.reason


def test_a_picture_that_cannot_be_decoded_is_reported():
    found = cut_out({"sample_id": "abc", "label": "pear", "image": {"bytes": b"text", "path": None}}, size_px=50)
    assert isinstance(found, DoubtfulCutout)
    assert "abc" in found.reason


def test_a_users_model_is_used_and_its_failure_reported():
    pixels, inside = disc((200, 60, 20), (250, 120, 160))
    row = {"sample_id": "s", "label": "pear", "image": {"bytes": encode_png(pixels), "path": None}}
    found = cut_out(row, size_px=100, segmenter=lambda rgb: np.where(inside, 255, 0).astype(np.uint8))
    assert isinstance(found, Cutout)
    assert (found.levels[0][..., 3] == 255).sum() == inside.sum()

    def broken(rgb: np.ndarray) -> np.ndarray:
        raise DataError("no weights")

    failed = cut_out(row, size_px=100, segmenter=broken)
    assert isinstance(failed, DoubtfulCutout)
    assert failed.reason == "no weights"


def test_a_doubtful_mask_is_used_and_listed():
    pixels, _ = disc((200, 60, 20), (255, 255, 255))
    mask = np.zeros((100, 100), np.uint8)
    mask[10:40, 10:40] = mask[60:90, 60:90] = 255
    found = cut(pixels, mask=encode_png(mask))
    assert isinstance(found, Cutout)
    (listed,) = list_doubts([found])
    assert listed.used and "2 pieces" in listed.reason


@pytest.mark.parametrize(("height_m", "known"), [(0.24, 0.24), (None, None), (float("nan"), None), (1, 1.0)])
def test_a_real_height_is_kept(height_m, known):
    found = cut(disc((200, 60, 20), (255, 255, 255))[0], f_height_m=height_m)
    assert isinstance(found, Cutout)
    assert found.height_m == known


@pytest.mark.parametrize("height_m", [0.0, -1.0, 1e6, float("inf"), "tall"])
def test_a_height_that_no_product_has_is_reported(height_m):
    found = cut(disc((200, 60, 20), (255, 255, 255))[0], f_height_m=height_m)
    assert isinstance(found, DoubtfulCutout)
    assert "f_height_m" in found.reason


def test_levels_halve_and_stay_premultiplied():
    found = cut(disc((200, 60, 20), (255, 255, 255))[0])
    assert isinstance(found, Cutout)
    assert [max(level.shape[:2]) for level in found.levels][:2] == [pytest.approx(61, abs=3), pytest.approx(31, abs=2)]
    for level in found.levels:
        assert (level[..., :3].max(axis=2).astype(int) <= level[..., 3].astype(int) + 1).all()

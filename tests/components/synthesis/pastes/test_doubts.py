"""Each kind of bad mask is told from good ones, and the sheet shows them."""

import cv2
import numpy as np
import pytest
from PIL import Image

from components.synthesis.pastes.cutouts import draw_doubts
from components.synthesis.pastes.doubts import DoubtfulCutout, doubts, unusable
from components.synthesis.picture.pictures import encode_png


def blank() -> np.ndarray:
    return np.zeros((120, 120), np.uint8)


def disc() -> np.ndarray:
    return cv2.circle(blank(), (60, 60), 35, 255, -1)


def pieces() -> np.ndarray:
    mask = blank()
    for x in (20, 60, 100):
        cv2.circle(mask, (x, 60), 14, 255, -1)
    return mask


def ragged() -> np.ndarray:
    mask = disc()
    for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False):
        tip = (int(60 + 52 * np.cos(angle)), int(60 + 52 * np.sin(angle)))
        cv2.line(mask, (60, 60), tip, 255, 2)
    return mask


def cut_off() -> np.ndarray:
    mask = blank()
    mask[:, 20:] = 255
    mask[:5, :20] = 255
    return mask


def holed() -> np.ndarray:
    mask = disc()
    cv2.circle(mask, (60, 60), 18, 0, -1)
    return mask


def test_a_good_mask_gives_no_doubt():
    bottle = blank()
    bottle[10:110, 45:75] = 255
    for mask in (disc(), bottle):
        assert unusable(mask) is None
        assert doubts(mask) == ()


@pytest.mark.parametrize(
    ("make", "reason"),
    [(pieces, "3 pieces"), (ragged, "ragged"), (cut_off, "touches the top, bottom, right"), (holed, "holes of")],
)
def test_bad_masks_are_doubted_for_their_reason(make, reason):
    (found,) = doubts(make())
    assert reason in found


def test_empty_and_full_masks_are_of_no_use():
    assert "almost empty" in str(unusable(blank()))
    assert "fills the picture" in str(unusable(blank() + 255))


def test_the_sheet_shows_every_doubtful_picture_even_hostile_ones(tmp_path):
    good = encode_png(np.full((40, 40, 3), 90, np.uint8))
    rows = [
        {"sample_id": "a", "label": "x", "image": {"bytes": good, "path": None}},
        {"sample_id": "b", "label": "x", "image": {"bytes": b"text", "path": None}},
    ]
    names = ["a", "b", "gone"]
    items = [DoubtfulCutout(sample_id=name, label="../<b>\n" * 30, reason="why " * 80) for name in names]
    with Image.open(draw_doubts(rows, items, tmp_path / "sheet.png")) as sheet:
        assert sheet.width > 500
        assert len(np.unique(np.asarray(sheet)[:180, :180])) > 1
    assert draw_doubts([], [], tmp_path / "empty.png").exists()

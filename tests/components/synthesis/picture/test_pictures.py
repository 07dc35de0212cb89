"""Pictures of every mode come out as upright RGBA, and a bad file is named."""

import io

import numpy as np
import pytest
from PIL import Image

from components.core.errors import DataError
from components.synthesis.picture.pictures import bounding_box, decode, encode_jpeg, encode_png


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> dict:
    buffer = io.BytesIO()
    picture.save(buffer, format=kind, **options)
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1"])
def test_modes_become_rgba(mode):
    pixels = decode(encoded(Image.new(mode, (6, 4))), name="x", max_side_px=64)
    assert pixels.shape == (4, 6, 4)
    assert pixels.dtype == np.uint8


def test_sixteen_bits_keep_their_brightness():
    grey = Image.fromarray(np.full((4, 4), 32896, np.uint16))
    assert decode(encoded(grey), name="x", max_side_px=64)[0, 0, 0] == 128


def test_cmyk_is_read():
    pixels = decode(encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), name="x", max_side_px=64)
    assert pixels[4, 4, 0] > 200
    assert pixels[4, 4, 1] < 60


def test_exif_rotation_is_undone():
    exif = Image.Exif()
    exif[0x0112] = 6
    assert decode(encoded(Image.new("RGB", (8, 4)), "JPEG", exif=exif), name="x", max_side_px=64).shape[:2] == (8, 4)


def test_large_pictures_are_shrunk():
    assert max(decode(encoded(Image.new("RGB", (500, 100))), name="x", max_side_px=64).shape) == 64


def test_a_path_is_followed(tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "a b.png")
    assert decode({"bytes": None, "path": str(tmp_path / "a b.png")}, name="x", max_side_px=9).shape == (3, 3, 4)


def test_bad_bytes_are_named():
    whole = encoded(Image.effect_noise((64, 64), 50), "JPEG")["bytes"]
    for data in (b"no picture", b"", whole[: len(whole) // 2]):
        with pytest.raises(DataError, match="sample 17"):
            decode({"bytes": data, "path": None}, name="sample 17", max_side_px=64)
    with pytest.raises(DataError, match="sample 18"):
        decode({"bytes": None, "path": "/nowhere/at all.jpg"}, name="sample 18", max_side_px=64)


def test_png_keeps_channels_in_order():
    rgb = np.zeros((4, 4, 3), np.uint8)
    rgb[..., 0] = 200
    again = decode({"bytes": encode_png(rgb), "path": None}, name="x", max_side_px=9)
    assert again[0, 0].tolist() == [200, 0, 0, 255]
    assert Image.open(io.BytesIO(encode_jpeg(rgb, 90))).getpixel((2, 2))[0] > 150


def test_boxes_are_exclusive_at_right_and_bottom():
    mask = np.zeros((6, 8), np.uint8)
    assert bounding_box(mask) == [0, 0, 0, 0]
    mask[2:4, 3:7] = 255
    mask[0, 0] = 100
    assert bounding_box(mask) == [3, 2, 7, 4]

"""Decoding gives the same RGB picture for every kind of file, and names what it refuses."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from components.core.errors import DataError
from components.datasets.decoding import decode, decode_fit, decode_thumbnail, fit


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def halves(width: int = 48, height: int = 32) -> Image.Image:
    """Left half red, right half blue."""
    pixels = np.zeros((height, width, 3), dtype=np.uint8)
    pixels[:, : width // 2, 0] = 255
    pixels[:, width // 2 :, 2] = 255
    return Image.fromarray(pixels)


def bomb_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header claims width x height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("RGB", "PNG"), ("RGBA", "PNG"), ("P", "PNG"), ("CMYK", "TIFF"), ("CMYK", "JPEG"), ("YCbCr", "JPEG")],
)
def test_colour_modes_give_the_same_picture(mode: str, kind: str) -> None:
    pixels = decode(encode(halves(64).convert(mode), kind, quality=95, subsampling=0), name="x")
    assert pixels.shape == (32, 64, 3) and pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - np.asarray(halves(64)).astype(int)).max() <= 12


@pytest.mark.parametrize("mode", ["L", "LA", "1"])
def test_grey_modes_become_three_equal_channels(mode: str) -> None:
    pixels = decode(encode(halves().convert("L").point(lambda v: 255 if v > 50 else 0).convert(mode)), name="x")
    assert (pixels[:, :, 0] == pixels[:, :, 2]).all()
    assert pixels[0, 0, 0] == 255 and pixels[0, -1, 0] == 0


def test_16_bit_grey_keeps_its_range() -> None:
    ramp = np.linspace(0, 65535, 256, dtype=np.uint16)[None].repeat(16, 0)
    assert (decode(encode(Image.fromarray(ramp)), name="x")[0, :, 0] == np.arange(256)).all()


def test_transparency_is_laid_on_white() -> None:
    image = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    assert (decode(encode(image), name="x") == 255).all()
    palette = Image.new("P", (16, 16), 0)
    assert (decode(encode(palette, "GIF", transparency=0), name="x") == 255).all()


def test_exif_orientation_is_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright: display turns it clockwise
    data = encode(halves(), "JPEG", exif=exif.tobytes(), quality=95)
    pixels = decode(data, name="x")
    assert pixels.shape == (48, 32, 3)
    assert pixels[4, 16, 0] > 200 and pixels[-4, 16, 2] > 200
    thumbnail = decode_thumbnail(data, 16, name="x")
    assert (thumbnail.width_px, thumbnail.height_px, thumbnail.pixels.shape) == (32, 48, (16, 16, 3))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_agrees_with_pillow(orientation: int) -> None:
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 40, 3), dtype=np.uint8))
    data = encode(noise, "PNG", exif=exif.tobytes())
    assert (decode(data, name="x") == np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))).all()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello, I am no picture", "not an image"),
        (encode(Image.new("RGB", (1, 1))), "1x1"),
        (encode(halves(256, 256), "JPEG")[:1500], "truncated"),
        (bomb_png(20_000, 20_000), "huge"),
        (bomb_png(20_000, 100), "huge: 20000x100"),
        (bomb_png(9_000, 9_000), "huge: 9000x9000"),
    ],
)
def test_refusals_name_the_file_and_the_reason(data: bytes, reason: str) -> None:
    for call in (decode, lambda data, name: decode_fit(data, 32, name=name)):
        with pytest.raises(DataError, match=r"shelf/a photo\.jpg") as caught:
            call(data, name="shelf/a photo.jpg")
        assert reason in str(caught.value)


def test_pixel_limit_is_checked_before_any_pixel_is_read() -> None:
    # The bomb has no pixel data at all: had decoding started, the reason would be "truncated".
    with pytest.raises(DataError, match="huge"):
        decode(bomb_png(300, 300), name="x", max_pixels=80_000)


def test_fit_squeezes_up_to_4_by_3_and_pads_beyond() -> None:
    phone = fit(np.asarray(halves(64, 48)), 32)
    assert (phone[:, 2] == (255, 0, 0)).all() and (phone[:, -3] == (0, 0, 255)).all()
    panorama = fit(np.asarray(halves(320, 80)), 60)
    assert (panorama[:19] == 128).all() and (panorama[41:] == 128).all()  # 60 * (80 * 4/3) / 320 = 20 rows of picture
    assert (panorama[30, 2] == (255, 0, 0)).all() and (panorama[30, -3] == (0, 0, 255)).all()


def test_decode_fit_of_a_big_jpeg_is_close_to_the_full_decode() -> None:
    ramp = np.linspace(0, 255, 2000, dtype=np.uint8)
    image = Image.fromarray(np.stack([ramp[None].repeat(1500, 0)] * 3, -1))
    data = encode(image, "JPEG", quality=95)
    quick, full = decode_fit(data, 64, name="x"), fit(decode(data, name="x"), 64)
    assert np.abs(quick.astype(int) - full.astype(int)).max() <= 4


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
def test_damaged_bytes_give_pixels_or_a_data_error(kind: str, data: st.DataObject) -> None:
    encoded = bytearray(encode(halves(), kind))
    for _ in range(data.draw(st.integers(1, 6))):
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        pixels = decode_fit(bytes(encoded), 16, name="x")
    except (DataError, UserWarning):  # Pillow's warnings are errors in tests only
        return
    assert pixels.shape == (16, 16, 3)

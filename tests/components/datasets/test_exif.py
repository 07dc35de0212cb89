"""When and with what a photo was taken is read from sound EXIF, and from nothing else."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from components.datasets.exif import read_taken


def photo(taken: str | bytes | None = "2024:05:06 10:20:30", model: str | None = "A1", serial: str = "") -> bytes:
    image, exif = Image.new("RGB", (32, 32), "red"), Image.Exif()
    exif[0x010F] = "Maker"
    if model is not None:
        exif[0x0110] = model
    folder = exif.get_ifd(0x8769)
    if taken is not None:
        folder[0x9003] = taken
    if serial:
        folder[0xA431] = serial
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


def test_time_and_camera_are_read() -> None:
    first, later = read_taken(photo()), read_taken(photo("2024:05:06 10:25:30", serial="77"))
    assert first is not None and later is not None
    assert later.time_s - first.time_s == 300
    assert (first.camera, first.has_serial) == ("Maker A1", False)
    assert (later.camera, later.has_serial) == ("Maker A1 77", True)


@pytest.mark.parametrize(
    "data",
    [
        photo(taken=None),
        photo(model=None),
        photo("0000:00:00 00:00:00"),
        photo("2024:13:45 99:99:99"),
        photo("2000:01:01 00:00:13"),
        photo("1970:06:01 12:00:00"),
        photo("yesterday"),
        b"",
        b"no image at all",
    ],
)
def test_what_says_nothing_is_no_time(data: bytes) -> None:
    assert read_taken(data) is None


def test_damaged_exif_never_raises() -> None:
    sound = photo()
    start = sound.index(b"Exif")
    for offset in range(6, 120, 3):
        broken = bytearray(sound)
        broken[start + offset : start + offset + 3] = b"\xff\xfe\xfd"
        read_taken(bytes(broken))
        read_taken(bytes(broken[: start + offset]))

"""A picture is known again through re-encoding and rescaling; others, its crop and its mirror image are not it."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from components.datasets import fingerprints
from components.datasets.decoding import decode_thumbnail
from components.datasets.fingerprints import MAX_DISTANCE, find_same, fingerprint, from_bytes, to_bytes

NUM = 24


def drawn(seed: int) -> Image.Image:
    """Shapes on a lit ground with the grain of a camera, 192x160."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (192, 160), tuple(rng.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(20):
        x, y, w, h = rng.integers(0, 150, 2).tolist() + rng.integers(15, 70, 2).tolist()
        pen.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    grain = rng.normal(0, 6, (160, 192, 3)) + np.linspace(-25, 25, 192)[None, :, None]
    pixels = np.asarray(image.filter(ImageFilter.GaussianBlur(1))) + grain
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def encode(image: Image.Image, kind: str, scale: float = 1.0, **options: Any) -> bytes:
    if scale != 1.0:
        size = round(image.width * scale), round(image.height * scale)
        image = image.resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def codes(files: list[bytes]) -> NDArray[np.uint64]:
    return fingerprint(np.stack([decode_thumbnail(data, 32, name="drawn").pixels for data in files]))


PICTURES = [drawn(seed) for seed in range(NUM)]
KNOWN = codes([encode(image, "JPEG", quality=92) for image in PICTURES])
EXIF = Image.Exif()
EXIF[0x010F] = "a camera"
ANEW: list[tuple[str, float, dict[str, Any]]] = [
    ("JPEG", 1.0, {"quality": 40}),
    ("JPEG", 1.0, {"quality": 95, "exif": EXIF}),
    ("PNG", 1.0, {}),
    ("WEBP", 1.0, {"quality": 60}),
    ("JPEG", 0.5, {"quality": 75}),
    ("PNG", 0.7, {}),
    ("JPEG", 2.0, {"quality": 75}),
]


@pytest.mark.parametrize(("kind", "scale", "options"), ANEW)
def test_stored_anew_it_is_the_same_and_no_other(kind: str, scale: float, options: dict[str, Any]) -> None:
    again = codes([encode(image, kind, scale, **options) for image in PICTURES])
    assert find_same(KNOWN, again).tolist() == [[index, index] for index in range(NUM)]


def test_crops_and_mirror_images_are_other_pictures() -> None:
    crops = codes([encode(image.crop((20, 16, 192, 160)), "PNG") for image in PICTURES])
    mirrored = codes([encode(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "PNG") for image in PICTURES])
    assert not len(find_same(KNOWN, crops)) and not len(find_same(KNOWN, mirrored))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    some = rng.integers(0, 2**63, (90, 4)).astype(np.uint64)
    near = some[::3] ^ np.uint64(0b1011)
    whole = find_same(some, near).tolist()
    assert [index for index, _ in whole] == list(range(0, 90, 3))
    monkeypatch.setattr(fingerprints, "_BLOCK_PAIRS", 100)
    assert find_same(some, near).tolist() == whole
    thumbnails = rng.integers(0, 255, (50, 32, 32, 3)).astype(np.uint8)
    before = fingerprint(thumbnails)
    monkeypatch.setattr(fingerprints, "_BLOCK_THUMBNAILS", 7)
    assert (fingerprint(thumbnails) == before).all()


def test_the_limit_is_kept_to_the_bit() -> None:
    zero, edge = np.zeros((1, 4), np.uint64), np.zeros((2, 4), np.uint64)
    edge[0, 0] = np.uint64(2**MAX_DISTANCE - 1)
    edge[1, 1] = np.uint64(2 ** (MAX_DISTANCE + 1) - 1)
    assert find_same(zero, edge).tolist() == [[0, 0]]
    assert len(find_same(zero[:0], edge)) == len(find_same(zero, edge[:0])) == 0


def test_codes_are_stored_and_read_back() -> None:
    assert (from_bytes(to_bytes(KNOWN)) == KNOWN).all() and {len(data) for data in to_bytes(KNOWN)} == {32}
    assert from_bytes([]).shape == (0, 4)

"""Decodes and encodes the pictures that generators read and write."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from components.core.errors import DataError

Pixels = NDArray[Any]  # of uint8; the types that cv2 declares for its results are wider


def decode(image: dict[str, Any], *, name: str, max_side_px: int) -> Pixels:
    """A manifest `image` as RGBA (H, W, 4) uint8, upright, its longer side at most `max_side_px`.

    Grey, palette, CMYK, 16-bit and transparent pictures are converted. DataError names the sample.
    """
    try:
        data = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
        with Image.open(io.BytesIO(data)) as opened:
            opened.draft("RGB", (max_side_px, max_side_px))
            picture = ImageOps.exif_transpose(opened)
            picture.thumbnail((max_side_px, max_side_px), Image.Resampling.LANCZOS)
            if picture.mode.startswith("I"):
                grey = (np.asarray(picture, np.float32) / 257).clip(0, 255)
                picture = Image.fromarray(grey.astype(np.uint8))
            return np.array(picture.convert("RGBA"))
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"the picture of {name} cannot be decoded ({error}); replace it or leave it out") from error


def encode_jpeg(rgb: Pixels, quality: int) -> bytes:
    """RGB (H, W, 3) as JPEG bytes."""
    return _encode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])


def encode_png(pixels: Pixels) -> bytes:
    """RGB (H, W, 3) or grey (H, W) as PNG bytes, lightly compressed."""
    return _encode(".png", pixels[..., ::-1] if pixels.ndim == 3 else pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])


def bounding_box(mask: Pixels) -> list[int]:
    """Left, top, right, bottom (exclusive) of the pixels at least half covered; four zeros for none."""
    left, top, width, height = cv2.boundingRect((mask > 127).astype(np.uint8))
    return [left, top, left + width, top + height]


def _encode(extension: str, pixels: Pixels, options: list[int]) -> bytes:
    done, data = cv2.imencode(extension, np.ascontiguousarray(pixels), options)
    assert done, f"encoding {extension} of an array of shape {pixels.shape} failed"
    return bytes(data)

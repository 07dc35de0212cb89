"""Encodes finished pictures and masks fast, the same bytes for the same pixels.

Of OpenCV, torchvision and PIL, OpenCV's JPEG writer was as fast as any, and needs no tensors. Masks are
written without PNG's line filters, which cost four times as much as they save on flat shapes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np

from components.synthesis.picture.pictures import Pixels

_MASK_OPTIONS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_NONE),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
]


def encode_jpeg(pictures: Iterable[Pixels], qualities: Sequence[int]) -> list[bytes]:
    """RGB pictures (H, W, 3) uint8 as JPEG bytes, each at its quality (0 to 100)."""
    return [_jpeg(picture, quality) for picture, quality in zip(pictures, qualities, strict=True)]


def encode_mask(mask: Pixels) -> bytes:
    """Coverage (H, W) uint8, 0 to 255, as the bytes of a grey PNG."""
    return _encoded(".png", np.ascontiguousarray(mask), _MASK_OPTIONS)


def _jpeg(picture: Pixels, quality: int) -> bytes:
    return _encoded(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encoded(extension: str, pixels: Pixels, options: list[int]) -> bytes:
    done, data = cv2.imencode(extension, pixels, options)
    assert done, f"encoding {extension} of an array of shape {pixels.shape} failed"
    return bytes(data.tobytes())

"""How well photos are known again by what they show: re-encoded ones found, different ones left apart.

Measured on the Grocery photos (train and val, 2,936); `available` says whether they are here.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from components.datasets.decoding import Pixels, decode_thumbnail
from components.datasets.duplicates import THUMBNAIL_PX, describe, near_pairs
from components.datasets.fingerprints import MAX_DISTANCE, Codes, find_same, fingerprint

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "grocery"
FORMATS: dict[str, dict[str, Any]] = {"jpeg": {"format": "JPEG"}, "png": {"format": "PNG"}, "webp": {"format": "WEBP"}}


def available() -> bool:
    """Whether the photos are on this machine."""
    return DATA.is_dir()


def recognised(quality: int, *, kind: str = "jpeg", scale: float = 1.0) -> float:
    """The share of the photos that is known again after re-encoding at a quality, and scaled."""
    return float((_moved(quality, kind, scale) <= MAX_DISTANCE).mean())


def false_matches() -> tuple[int, int]:
    """How many pairs of different photos match, and how many pairs there are."""
    wrong = matches()
    return wrong["near"] + wrong["other"], wrong["pairs"]


def matches() -> dict[str, int]:
    """The matching pairs of different photos: near duplicates by `near_pairs`, all others, and the pairs in all.

    `nearest_other` is the distance in bits of the closest pair that is no near duplicate (64 if it is more).
    """
    thumbnails = _thumbnails()
    codes = fingerprint(thumbnails)
    near = {tuple(pair) for pair in near_pairs(describe(thumbnails)).tolist()}
    close = [(i, j) for i, j in find_same(codes, codes, max_distance=64).tolist() if i < j]
    apart = {pair: int(np.bitwise_count(codes[pair[0]] ^ codes[pair[1]]).sum()) for pair in close}
    found = [pair for pair, distance in apart.items() if distance <= MAX_DISTANCE]
    num = len(codes)
    return {
        "near": sum(pair in near for pair in found),
        "other": sum(pair not in near for pair in found),
        "near_pairs": len(near),
        "nearest_other": min((distance for pair, distance in apart.items() if pair not in near), default=64),
        "pairs": num * (num - 1) // 2,
    }


def distances(quality: int, *, kind: str = "jpeg", scale: float = 1.0) -> dict[str, float]:
    """The bits by which a photo differs from itself re-encoded, as median and most, and the share recognised."""
    moved = _moved(quality, kind, scale)
    return {
        "median": float(np.median(moved)),
        "most": float(moved.max()),
        "share": float((moved <= MAX_DISTANCE).mean()),
    }


def _moved(quality: int, kind: str, scale: float) -> NDArray[np.int64]:
    again = fingerprint(_thumbnails(lambda data: _encode(data, quality, kind, scale)))
    return np.bitwise_count(_known() ^ again).sum(axis=1).astype(np.int64)


@functools.cache
def _known() -> Codes:
    return fingerprint(_thumbnails())


@functools.cache
def _photos() -> list[bytes]:
    files = sorted(path for split in ("train", "val") for path in (DATA / split).rglob("*.jpg"))
    return [path.read_bytes() for path in files]


def _thumbnails(change: Callable[[bytes], bytes] | None = None) -> Pixels:
    def look(data: bytes) -> Pixels:
        return decode_thumbnail(change(data) if change else data, THUMBNAIL_PX, name="photo").pixels

    with ThreadPoolExecutor(2) as pool:
        return np.stack(list(pool.map(look, _photos())))


def _encode(data: bytes, quality: int, kind: str, scale: float) -> bytes:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    if scale != 1.0:
        size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
        image = image.resize(size, Image.Resampling.BICUBIC)
    options = FORMATS[kind] | ({"quality": quality} if kind != "png" else {})
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return buffer.getvalue()

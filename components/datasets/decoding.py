"""Turns encoded image bytes into RGB pixels, the same way in training, evaluation and serving.

`decode_fit` is the one road from bytes to a network's input, so parity between the stages holds bit for bit;
the digest of this module's code names the caches of decoded pixels.
It ships inside the served Bento and therefore needs Pillow and numpy alone.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from components.core.errors import DataError

MAX_PIXELS = 64_000_000
MAX_SIDE_PX = 16_384
MIN_SIDE_PX = 8
# Pillow's other formats are rare in photos, and some of them (EPS) run other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")

Pixels = npt.NDArray[np.uint8]

_PADDING_GREY = 128
_MAX_SQUEEZE = 4 / 3
_ORIENTATION_TAG = 0x0112
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error, zlib.error)

# Pillow only warns about a bomb up to twice its limit; wherever this module is loaded, that is an error.
warnings.simplefilter("error", Image.DecompressionBombWarning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnail:
    """A small square copy of an image, stretched to fit, and what its header says (size as displayed)."""

    pixels: Pixels
    width_px: int
    height_px: int
    mode: str


def decode_fit(data: bytes, size_px: int, *, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode and fit in one step: uint8 RGB [size_px, size_px, 3]; DataError names the file and the reason.

    A JPEG much larger than needed is decoded at 1/2, 1/4 or 1/8 of its size, never under twice `size_px`.
    """
    image = _load(data, name, max_pixels=max_pixels, draft_px=2 * size_px)
    return _fit(image, size_px)


def decode(data: bytes, *, name: str, max_pixels: int = MAX_PIXELS) -> Pixels:
    """Decode to uint8 RGB [H, W, 3] in display orientation; transparency is laid on white.

    DataError, naming the file and the reason, for what is unreadable, truncated, too small or too large;
    the size is judged from the header, before any pixel is decoded.
    """
    return np.asarray(_load(data, name, max_pixels=max_pixels, draft_px=None))


def fit(image: Pixels, size_px: int) -> Pixels:
    """Resize [H, W, 3] to [size_px, size_px, 3], antialiased, keeping the whole picture.

    Up to 4:3, as phones take them, the picture is squeezed to the square, so that no pixel is spent on
    padding; a longer one is squeezed by 4:3 and padded with grey. Nothing is ever cropped away.
    """
    return _fit(Image.fromarray(image), size_px)


def decode_thumbnail(data: bytes, size_px: int, *, name: str, max_pixels: int = MAX_PIXELS) -> Thumbnail:
    """Decode the whole stream, keep a [size_px, size_px, 3] copy and the facts of the header; errors as `decode`."""
    with _refusals(name):
        header = _open(data, name, max_pixels)
        mode, (width, height), turned = header.mode, header.size, _orientation(header) >= 5
        image = _to_display(header, draft_px=2 * size_px)
    pixels = np.asarray(image.resize((size_px, size_px), Image.Resampling.BOX))
    return Thumbnail(
        pixels=pixels, width_px=height if turned else width, height_px=width if turned else height, mode=mode
    )


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """Turn whatever a broken file makes Pillow raise into DataError."""
    try:
        yield
    except DataError:
        raise
    except UnidentifiedImageError as error:
        raise DataError(f"{name}: unreadable: not an image; use one of {', '.join(FORMATS)}") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DataError(f"{name}: huge: far more than {MAX_PIXELS:,} pixels; scale it down") from error
    except _BROKEN as error:
        if "truncated" in str(error).lower():
            raise DataError(f"{name}: truncated: the file ends early; copy or export it again") from error
        raise DataError(f"{name}: unreadable: {error}; export it again as JPEG or PNG") from error


def _load(data: bytes, name: str, *, max_pixels: int, draft_px: int | None) -> Image.Image:
    with _refusals(name):
        return _to_display(_open(data, name, max_pixels), draft_px=draft_px)


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    if not data:
        raise DataError(f"{name}: unreadable: the file is empty; copy or export it again")
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    width, height = image.size
    if min(width, height) < MIN_SIDE_PX:
        raise DataError(f"{name}: too small: {width}x{height} pixels, at least {MIN_SIDE_PX} a side; take it out")
    if width * height > max_pixels or max(width, height) > MAX_SIDE_PX:
        raise DataError(
            f"{name}: huge: {width}x{height} pixels, at most {max_pixels:,} in all and {MAX_SIDE_PX:,} a side; "
            "scale it down"
        )
    return image


def _to_display(image: Image.Image, *, draft_px: int | None) -> Image.Image:
    orientation = _orientation(image)
    if draft_px is not None and image.mode in ("RGB", "L"):
        shrink = draft_px / max(image.size)
        image.draft(None, (max(1, round(image.width * shrink)), max(1, round(image.height * shrink))))
    image.load()
    rgb = _to_rgb(image)
    return rgb.transpose(_TRANSPOSES[orientation]) if orientation in _TRANSPOSES else rgb


def _orientation(image: Image.Image) -> int:
    try:
        value = image.getexif().get(_ORIENTATION_TAG, 1)
    except (*_BROKEN, Warning):  # a damaged EXIF block does not make the picture unreadable
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ValueError("floating-point pixels have no agreed range")
    if image.mode.startswith("I"):
        levels = np.asarray(image).astype(np.int64)
        deep = image.mode != "I" or levels.max() > 255
        grey = np.clip((levels + 128) // 257 if deep else levels, 0, 255)
        return Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "RGBa", "LA", "La", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def _fit(image: Image.Image, size_px: int) -> Pixels:
    width, height = image.size
    inner_width = size_px if width * _MAX_SQUEEZE >= height else round(size_px * width * _MAX_SQUEEZE / height)
    inner_height = size_px if height * _MAX_SQUEEZE >= width else round(size_px * height * _MAX_SQUEEZE / width)
    inner = (max(1, inner_width), max(1, inner_height))
    resized = np.asarray(image.resize(inner, Image.Resampling.BILINEAR, reducing_gap=2.0))
    if inner == (size_px, size_px):
        return resized
    canvas = np.full((size_px, size_px, 3), _PADDING_GREY, dtype=np.uint8)
    left, top = (size_px - inner[0]) // 2, (size_px - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = resized
    return canvas

"""Reads when and with which camera a photo was taken, from its EXIF block; a damaged one says nothing.

A date that no camera was set to (before 1990, or a clock's midnight on 1 January) says nothing either.
"""

from __future__ import annotations

import io
import struct
import warnings
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from PIL import Image

from components.datasets.decoding import FORMATS

_EXIF_FOLDER = 0x8769
_MAKE, _MODEL, _TAKEN, _SERIAL = 0x010F, 0x0110, 0x9003, 0xA431
_FIRST_YEAR = 1990
# Pillow raises whatever a broken block makes its parsers trip over.
_BROKEN = (OSError, ValueError, SyntaxError, EOFError, LookupError, TypeError, OverflowError, struct.error, Warning)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """`time_s` counts seconds on the camera's own clock; `camera` is its make, model and, if known, serial number."""

    time_s: float
    camera: str
    has_serial: bool


def read_taken(data: bytes) -> Taken | None:
    """When and with what the encoded image `data` was taken; None where it does not say both."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tags = Image.open(io.BytesIO(data), formats=FORMATS).getexif()
            more = tags.get_ifd(_EXIF_FOLDER)
        time_s = _time(more.get(_TAKEN))
        make, model, serial = _text(tags.get(_MAKE)), _text(tags.get(_MODEL)), _text(more.get(_SERIAL))
    except (*_BROKEN, Image.DecompressionBombError, AttributeError):
        return None
    if time_s is None or not model:
        return None
    return Taken(time_s=time_s, camera=f"{make} {model} {serial}".strip(), has_serial=bool(serial))


def _text(value: Any) -> str:
    text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
    return text.strip("\0 ") if isinstance(text, str) else ""


def _time(value: Any) -> float | None:
    try:
        taken = datetime.strptime(_text(value)[:19], "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    reset = (taken.month, taken.day, taken.hour, taken.minute) == (1, 1, 0, 0)
    if taken.year < _FIRST_YEAR or reset:
        return None
    return (taken - datetime(_FIRST_YEAR, 1, 1)).total_seconds()

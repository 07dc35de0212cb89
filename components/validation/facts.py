"""Looks at every image once: size, brightness, what is wrong with it, and a thumbnail to compare it by."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import DataError
from components.core.manifest import Source
from components.core.progress import track
from components.datasets.decoding import Pixels, decode_thumbnail
from components.datasets.duplicates import THUMBNAIL_PX
from components.datasets.exif import Taken, read_taken

_NUM_THREADS = 4
_BATCH_ROWS = 256
_COLUMNS = ("sample_id", "image", "label", "split", "source", "group", "parents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """One image and what its row says. `fault` is the decoder's refusal; size and levels are then 0."""

    index: int  # row in its manifest
    source: Source
    sample_id: str
    name: str
    label: str | None
    split: str | None
    group: str | None
    parents: tuple[str, ...]
    id_matches: bool
    fault: str | None
    mode: str
    width_px: int
    height_px: int
    mean: float
    std: float  # of the channel that varies most, over the thumbnail
    thumbnail: Pixels  # [THUMBNAIL_PX, THUMBNAIL_PX, 3]
    taken: Taken | None = None  # of photos whose EXIF says so


def measure(folder: Path, source: Source) -> list[Facts]:
    """The facts of every row of a manifest, in its order; an image that cannot be decoded has its `fault`."""
    total = -(-manifest.count(folder) // _BATCH_ROWS)
    found: list[Facts] = []
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        for rows in track(_batches(folder), f"looking at {source} images", total=total):
            start = len(found)
            found += pool.map(lambda item: _look(item[1], item[0], source), enumerate(rows, start=start))
    return found


def _batches(folder: Path) -> Iterator[list[dict[str, Any]]]:
    for batch in manifest.stream(folder, _COLUMNS, batch_rows=_BATCH_ROWS):
        yield batch.to_pylist()


def _look(row: dict[str, Any], index: int, source: Source) -> Facts:
    image = row["image"] or {"bytes": b"", "path": None}
    data, name = image["bytes"] or b"", image["path"] or row["sample_id"] or f"row {index}"
    fault, mode, width, height = None, "", 0, 0
    pixels: Pixels = np.zeros((THUMBNAIL_PX, THUMBNAIL_PX, 3), dtype=np.uint8)
    try:
        seen = decode_thumbnail(data, THUMBNAIL_PX, name=name)
        pixels, mode, width, height = seen.pixels, seen.mode, seen.width_px, seen.height_px
    except DataError as error:
        fault = str(error).removeprefix(f"{name}: ")
    return Facts(
        index=index,
        source=source,
        sample_id=row["sample_id"] or "",
        name=name,
        label=row["label"],
        split=row["split"],
        group=row["group"],
        parents=tuple(row["parents"] or ()),
        id_matches=row["sample_id"] == sample_id(data),
        fault=fault,
        mode=mode,
        width_px=width,
        height_px=height,
        mean=float(pixels.mean()),
        std=float(pixels.std(axis=(0, 1)).max()),
        thumbnail=pixels,
        taken=read_taken(data) if source == "photo" and fault is None else None,
    )

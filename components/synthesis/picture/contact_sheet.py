"""Draws labelled contact sheets, so that a person can judge a data set at a glance."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

from PIL import Image, ImageDraw, ImageFont, UnidentifiedImageError

from components.core import manifest
from components.core.errors import DataError
from components.core.files import write_bytes

_LABEL_WIDTH_PX, _GAP_PX = 120, 3
_COLOURS = ("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#00b8d4", "#f032e6", "#9e9d24")
_Boxed = tuple[str, Sequence[int]]
_Cell = tuple[bytes, Sequence[_Boxed]]


def draw_contact_sheet(
    source: Path | Iterable[Mapping[str, Any]], path: Path, *, per_class: int = 8, cell_px: int = 96
) -> Path:
    """Draw one row a class, `per_class` images of `cell_px` pixels each, to a PNG at `path`; returns the path.

    `source` is a manifest folder or rows with `label` and `image`; boxes are drawn around `objects`, where there are
    any, in the colour of their label. DataError when there is nothing to draw.
    """
    chosen = _first_of_each_class(_rows(source) if isinstance(source, Path) else source, per_class)
    if not chosen:
        raise DataError(f"no rows to draw on {path.name}: the manifest is empty; run the stage that fills it")
    pitch = cell_px + _GAP_PX
    sheet = Image.new("RGB", (_LABEL_WIDTH_PX + per_class * pitch, len(chosen) * pitch), (236, 236, 236))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for row, (label, images) in enumerate(sorted(chosen.items())):
        pen.text((6, row * pitch + cell_px // 2 - 8), label[:17], fill=(20, 20, 20), font=font)
        for column, (encoded, objects) in enumerate(images):
            place = (_LABEL_WIDTH_PX + column * pitch, row * pitch)
            sheet.paste(_thumbnail(encoded, cell_px, objects), place)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    write_bytes(path, buffer.getvalue())
    return path


def _rows(folder: Path) -> Iterable[Mapping[str, Any]]:
    known = manifest.dataset(folder).schema.names
    for batch in manifest.stream(folder, ["label", "image", *(name for name in ("objects",) if name in known)]):
        yield from batch.to_pylist()


def _first_of_each_class(rows: Iterable[Mapping[str, Any]], per_class: int) -> dict[str, list[_Cell]]:
    chosen: dict[str, list[_Cell]] = {}
    for row in rows:
        images = chosen.setdefault(str(row["label"]), [])
        if len(images) < per_class:
            image = row["image"]
            encoded = image["bytes"] if image["bytes"] is not None else Path(image["path"]).read_bytes()
            images.append((encoded, [(one["label"], one["box"]) for one in row.get("objects") or ()]))
    return chosen


def _thumbnail(encoded: bytes, cell_px: int, objects: Sequence[_Boxed]) -> Image.Image:
    cell = Image.new("RGB", (cell_px, cell_px), (255, 255, 255))
    try:
        picture = Image.open(io.BytesIO(encoded)).convert("RGB")
    except (UnidentifiedImageError, OSError):
        ImageDraw.Draw(cell).line([(0, 0), (cell_px, cell_px)], fill=(200, 0, 0), width=3)
        return cell
    width_px = picture.width
    picture.thumbnail((cell_px, cell_px))
    left, top, zoom = (cell_px - picture.width) // 2, (cell_px - picture.height) // 2, picture.width / width_px
    cell.paste(picture, (left, top))
    for label, (x0, y0, x1, y1) in objects:
        corners = [left + x0 * zoom, top + y0 * zoom, left + x1 * zoom - 1, top + y1 * zoom - 1]
        ImageDraw.Draw(cell).rectangle(corners, outline=_COLOURS[crc32(label.encode()) % len(_COLOURS)])
    return cell

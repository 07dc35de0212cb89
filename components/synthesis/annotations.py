"""Exports a manifest of synthetic images as COCO: image files, boxes, masks as run lengths, and every factor.

    python -m components.synthesis.annotations MANIFEST OUT

writes OUT/images/ID.jpg and OUT/annotations.json. Masks are uncompressed run lengths, column by column, as COCO
defines them; factors (pose, light, visible fraction, ...) stand in `attributes`. Rows are read and written one
after the other, so that a million images need no more memory than one shard.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np

from components.core import manifest
from components.core.errors import DataError, DetentError, SourceError
from components.core.files import atomic_directory, read_json
from components.core.progress import track
from components.synthesis.pictures import Pixels
from components.synthesis.shards import RECIPE

_SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"RI": ".webp", b"BM": ".bmp", b"GI": ".gif", b"II": ".tif"}
_BATCH_ROWS = 64


def export_coco(folder: Path, out: Path) -> int:
    """Write the manifest at `folder` as COCO to the folder `out`; returns the number of images.

    SourceError when `out` holds files already, DataError when `folder` is no manifest or a mask does not decode.
    """
    if out.exists() and any(out.iterdir()):
        raise SourceError(f"{out} is not empty; name a new folder")
    names = manifest.dataset(folder).schema.names
    known = manifest.read(folder, ["label", "licence"])
    categories = {name: number for number, name in enumerate(sorted({*known["label"].to_pylist()} - {None}), start=1)}
    licences = {name: number for number, name in enumerate(sorted({*known["licence"].to_pylist()} - {None}), start=1)}
    columns = [name for name in names if name not in ("split", "source", "group", "parents", "recipe")]
    with atomic_directory(out) as partial:
        (partial / "images").mkdir()
        with (partial / "annotations.json").open("w", encoding="utf-8") as file:
            _write_head(file, folder, categories, licences)
            rows = track(_rows(folder, columns), "exporting images", total=known.num_rows)
            images = (_image(row, number, licences, partial) for number, row in enumerate(rows, start=1))
            num_images = _write_list(file, "images", images)
            marked = track(_rows(folder, [name for name in columns if name != "image"]), "exporting annotations")
            found = (_annotation(row, number, categories) for number, row in enumerate(marked, start=1))
            file.write(",\n")
            _write_list(file, "annotations", (value for value in found if value is not None))
            file.write("\n}\n")
    return num_images


def run_lengths(mask: Pixels) -> list[int]:
    """COCO's counts of a mask (H, W): how long it is off, on, off, ... down the columns, from the left one on."""
    flat = np.asfortranarray(mask > 127).ravel(order="F")
    turns = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], turns, [flat.size]])).tolist()
    return [0, *counts] if flat[:1].any() else counts


def _write_head(file: IO[str], folder: Path, categories: Mapping[str, int], licences: Mapping[str, int]) -> None:
    record = folder / RECIPE
    made = read_json(record) if record.is_file() else {}
    head = {
        "info": {"description": "made by Detent", "version": str(made.get("version", "")), "year": 0, "url": ""},
        "licenses": [{"id": number, "name": name, "url": ""} for name, number in licences.items()],
        "categories": [{"id": number, "name": name, "supercategory": ""} for name, number in categories.items()],
    }
    file.write(json.dumps(head, ensure_ascii=False)[:-1] + ",\n")


def _write_list(file: IO[str], name: str, values: Iterable[Mapping[str, Any]]) -> int:
    number = 0
    file.write(f'"{name}": [')
    for number, value in enumerate(values, start=1):
        file.write(("" if number == 1 else ",\n") + json.dumps(value, ensure_ascii=False, allow_nan=False))
    file.write("]")
    return number


def _rows(folder: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    for batch in manifest.stream(folder, columns, batch_rows=_BATCH_ROWS):
        yield from batch.to_pylist()


def _image(row: Mapping[str, Any], number: int, licences: Mapping[str, int], out: Path) -> dict[str, Any]:
    data = row["image"]["bytes"] or b""
    name = f"images/{row['sample_id']}{_SUFFIXES.get(data[:2], '.bin')}"
    (out / name).write_bytes(data)
    value = {"id": number, "file_name": name, "width": row["width_px"], "height": row["height_px"]}
    return value | ({"license": licences[row["licence"]]} if row["licence"] is not None else {})


def _annotation(row: Mapping[str, Any], number: int, categories: Mapping[str, int]) -> dict[str, Any] | None:
    """What COCO says of the product on an image; None where nothing of it is seen, or no class is known."""
    if row["label"] is None:
        return None
    value: dict[str, Any] = {
        "id": number,
        "image_id": number,
        "category_id": categories[row["label"]],
        "iscrowd": 0,
        "attributes": {name[2:]: found for name, found in row.items() if name.startswith("f_") and found is not None},
    }
    if row.get("mask") is not None:
        mask = _decode(row)
        area = int((mask > 127).sum())
        segmentation = {"size": list(mask.shape), "counts": run_lengths(mask)}
        value |= {"area": area, "segmentation": segmentation}
        if not area:
            return None
    if row.get("box") is not None:
        left, top, right, bottom = row["box"]
        value |= {"bbox": [left, top, right - left, bottom - top]}
    return value


def _decode(row: Mapping[str, Any]) -> Pixels:
    mask = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE)
    if mask is None:
        raise DataError(f"the mask of sample {row['sample_id']} cannot be decoded; make the manifest again")
    return np.asarray(mask)


def main(arguments: list[str]) -> int:
    """Export the manifest that the arguments name; 0 when it is done, else the error's exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        if len(arguments) != 2:
            raise SourceError("usage: python -m components.synthesis.annotations MANIFEST OUT")
        number = export_coco(Path(arguments[0]), Path(arguments[1]))
    except DetentError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is the command's answer
        return error.exit_code
    print(f"{number} images with annotations.json in {arguments[1]}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Exports a manifest of synthetic images as COCO: image files, boxes, masks as run lengths, factors, depth, normals.

    python -m components.synthesis.annotations MANIFEST OUT [--geometry CATALOG [--backgrounds FOLDER]]

writes OUT/images/ID.jpg and OUT/annotations.json. Masks are uncompressed run lengths, column by column, as COCO
defines them; factors (pose, light, visible fraction, ...) stand in `attributes`. A row with `objects` has an annotation
for each of them. Rows are read and written one
after the other, so that a million images need no more memory than one shard.

With `--geometry`, renders and wraps get depth/ID.png and normals/ID.png as well, named by their image's `depth` and
`normals`; pastes are flat and have none. They are made again from the rows' recipe, so CATALOG and the backgrounds
(drawn ones where no FOLDER is given) must be those that the images were made from.

- Depth is 16 bit, along the camera's optical axis. `info.depth_unit_m` is what a step of 1 means: 0.1 mm, or the
  least of 0.2, 0.5, 1, 2, ... mm in which the farthest view of the run fits. The depth itself is known to 1 in 2048.
- Normals are 8-bit RGB, (n + 1) / 2 * 255, in the camera's axes: x right, y up, z from the object to the camera.
- Both are 0 where the mask shows nothing of the object: beside it, and where something covers it.
"""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import IO, Any, NoReturn

import cv2
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.core import manifest
from components.core.errors import DataError, DetentError, IntegrityError, SourceError
from components.core.files import atomic_directory, read_json
from components.core.progress import track
from components.synthesis.picture.camera import Floats
from components.synthesis.picture.geometry import Geometry
from components.synthesis.picture.pictures import Pixels, encode_png
from components.synthesis.provenance import Origin, Place, Remaker
from components.synthesis.runs.shards import RECIPE

_SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"RI": ".webp", b"BM": ".bmp", b"GI": ".gif", b"II": ".tif"}
_BATCH_ROWS = 64
_MOST_STEPS = 65_500  # a little less than 16 bits hold, since depth was rounded before
_ROUNDING = 4  # levels of a mask by which processors may differ
_GEOMETRY_INFO = {
    "depth": "16-bit steps of depth_unit_m metres along the optical axis; 0 where nothing of the object is seen",
    "normals": "RGB = (n + 1) / 2 * 255; x right, y up, z towards the camera; 0 where nothing of the object is seen",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Export:
    """Where files go, the number of each licence, and what makes depth and normals in which unit, where asked for."""

    out: Path
    licences: Mapping[str, int]
    remaker: Remaker | None
    unit_m: float


def export_coco(folder: Path, out: Path, *, remaker: Remaker | None = None) -> int:
    """Write the manifest at `folder` as COCO to the folder `out`; returns the number of images.

    With a `remaker` of that manifest, depth and normals are written too. SourceError when `out` holds files already,
    DataError when `folder` is no manifest or a mask does not decode, IntegrityError when an image's geometry no
    longer comes out as its mask says.
    """
    if out.exists() and any(out.iterdir()):
        raise SourceError(f"{out} is not empty; name a new folder")
    names = manifest.dataset(folder).schema.names
    known = manifest.read(folder, ["label", "licence"])
    labels = {*known["label"].to_pylist(), *(_object_labels(folder) if "objects" in names else ())}
    categories, licences = _numbered(labels), _numbered({*known["licence"].to_pylist()})
    told = [name for name in names if name in ("sample_id", "label", "mask", "box", "objects") or name.startswith("f_")]
    shown = ["sample_id", "image", "width_px", "height_px", "licence"]
    shown += [name for name in ("mask", "recipe") if remaker is not None and name in names]
    unit_m = depth_unit_m(remaker.farthest_m) if remaker is not None else 0.0
    with atomic_directory(out) as partial:
        export = _Export(out=partial, licences=licences, remaker=remaker, unit_m=unit_m)
        with (partial / "annotations.json").open("w", encoding="utf-8") as file:
            _write_head(file, folder, categories, export)
            rows = track(zip(_rows(folder, shown), _shards(folder), strict=True), "exporting images", total=len(known))
            images = (_image(row, number, shard, export) for number, (row, shard) in enumerate(rows, start=1))
            num_images = _write_list(file, "images", images)
            marked = track(_rows(folder, told), "exporting annotations", total=len(known))
            found = (
                {"image_id": number, **value}
                for number, row in enumerate(marked, start=1)
                for value in _annotations(row, categories)
            )
            file.write(",\n")
            _write_list(file, "annotations", ({"id": number, **value} for number, value in enumerate(found, start=1)))
            file.write("\n}\n")
    return num_images


def depth_unit_m(farthest_m: float) -> float:
    """The step of a 16-bit depth: the least of 0.1, 0.2, 0.5, 1, 2, ... mm in which depths up to `farthest_m` fit."""
    steps = (step * 10.0**power for power in range(-4, 3) for step in (1, 2, 5))
    return next(float(f"{step:.0e}") for step in steps if farthest_m <= _MOST_STEPS * step)


def depth_picture(depth: Floats, unit_m: float) -> bytes:
    """Depth (H, W) in metres as the bytes of a grey 16-bit PNG in steps of `unit_m`."""
    return encode_png(np.rint(depth / unit_m).astype(np.uint16))


def normals_picture(normals: Floats) -> bytes:
    """Unit vectors (H, W, 3), each component from -1 to 1, as the bytes of an RGB PNG; black where they are 0."""
    seen = normals.any(axis=-1, keepdims=True)
    return encode_png(np.where(seen, np.rint((normals + 1) * 127.5), 0).astype(np.uint8))


def run_lengths(mask: Pixels) -> list[int]:
    """COCO's counts of a mask (H, W): how long it is off, on, off, ... down the columns, from the left one on."""
    flat = np.asfortranarray(mask > 127).ravel(order="F")
    turns = np.flatnonzero(np.diff(flat)) + 1
    counts = np.diff(np.concatenate([[0], turns, [flat.size]])).tolist()
    return [0, *counts] if flat[:1].any() else counts


def _numbered(names: Collection[str | None]) -> dict[str, int]:
    """Each name with its number, from 1 on, in alphabetical order."""
    return {name: number for number, name in enumerate(sorted(name for name in names if name is not None), start=1)}


def _object_labels(folder: Path) -> set[str]:
    found: set[str] = set()
    for batch in manifest.stream(folder, ["objects"], batch_rows=_BATCH_ROWS):
        found.update(pc.struct_field(pc.list_flatten(batch["objects"]), "label").to_pylist())
    return found


def _write_head(file: IO[str], folder: Path, categories: Mapping[str, int], export: _Export) -> None:
    record = folder / RECIPE
    made = read_json(record) if record.is_file() else {}
    info = {"description": "made by Detent", "version": str(made.get("version", "")), "year": 0, "url": ""}
    head = {
        "info": info | (_GEOMETRY_INFO | {"depth_unit_m": export.unit_m} if export.remaker is not None else {}),
        "licenses": [{"id": number, "name": name, "url": ""} for name, number in export.licences.items()],
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


def _shards(folder: Path) -> Iterator[Path]:
    """The shard of each row."""
    return chain.from_iterable(repeat(path, pq.read_metadata(path).num_rows) for path in manifest.shards(folder))


def _image(row: Mapping[str, Any], number: int, shard: Path, export: _Export) -> dict[str, Any]:
    data = row["image"]["bytes"] or b""
    name = f"images/{row['sample_id']}{_SUFFIXES.get(data[:2], '.bin')}"
    _write(export.out / name, data)
    value = {"id": number, "file_name": name, "width": row["width_px"], "height": row["height_px"]}
    value |= {"license": export.licences[row["licence"]]} if row["licence"] is not None else {}
    found = _geometry(row, shard, export.remaker) if export.remaker is not None else None
    if found is None:
        return value
    pictures = {"depth": depth_picture(found.depth, export.unit_m), "normals": normals_picture(found.normals)}
    for kind, picture in pictures.items():
        _write(export.out / kind / f"{row['sample_id']}.png", picture)
    return value | {kind: f"{kind}/{row['sample_id']}.png" for kind in pictures}


def _geometry(row: Mapping[str, Any], shard: Path, remaker: Remaker) -> Geometry | None:
    """What a render shows, made again; IntegrityError where its mask is not the row's, but for rounding."""
    place = Place(sample_id=row["sample_id"], shard=shard, recipe=json.loads(row["recipe"] or "{}"))
    found = remaker.geometry(place)
    if found is not None and (
        found.mask.shape != (mask := _decode(row)).shape or int(cv2.absdiff(found.mask, mask).max()) > _ROUNDING
    ):
        raise IntegrityError(
            f"the geometry of sample {place.sample_id} does not fit its mask, so the code or the processor has changed "
            "since it was made; use what it was made with"
        )
    return found


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def _annotations(row: Mapping[str, Any], categories: Mapping[str, int]) -> Iterator[dict[str, Any]]:
    """What COCO says of each product on an image: of its `objects`, or of the labelled one where they are not told.

    Nothing of what is not seen or has no class. Factors go with the objects of the row's own label.
    """
    if row.get("objects") is None:
        objects = [row]
    else:
        objects = [{"sample_id": row["sample_id"], **found} for found in row["objects"]]
    factors = {name[2:]: found for name, found in row.items() if name.startswith("f_") and found is not None}
    for found in objects:
        if found["label"] is None:
            continue
        value: dict[str, Any] = {
            "category_id": categories[found["label"]],
            "iscrowd": 0,
            "attributes": factors if found["label"] == row["label"] else {},
        }
        if found.get("mask") is not None:
            mask = _decode(found)
            area = int((mask > 127).sum())
            if not area:
                continue
            value |= {"area": area, "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)}}
        if found.get("box") is not None:
            left, top, right, bottom = found["box"]
            value |= {"bbox": [left, top, right - left, bottom - top]}
        yield value


def _decode(row: Mapping[str, Any]) -> Pixels:
    data = row.get("mask") or b""
    mask = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) if data else None
    if mask is None:
        raise DataError(f"the mask of sample {row['sample_id']} cannot be decoded; make the manifest again")
    return np.asarray(mask)


def main(arguments: list[str]) -> int:
    """Export the manifest that the arguments name; 0 when it is done, else the error's exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    try:
        asked = _parse(arguments)
        remaker = None
        if asked.geometry is not None:
            remaker = Remaker.open(asked.manifest, Origin(catalog=asked.geometry, backgrounds=asked.backgrounds))
        number = export_coco(asked.manifest, asked.out, remaker=remaker)
    except DetentError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - this is the command's answer
        return error.exit_code
    print(f"{number} images with annotations.json in {asked.out}")  # noqa: T201
    return 0


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SourceError(f"{message}; {self.format_usage().strip()}")


def _parse(arguments: list[str]) -> Namespace:
    parser = _Parser(prog="python -m components.synthesis.annotations", description="Export a manifest as COCO.")
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--geometry", type=Path, metavar="CATALOG", help="depth and normals too, of this catalogue")
    parser.add_argument("--backgrounds", type=Path, metavar="FOLDER", help="what the images of it were set into")
    asked = parser.parse_args(arguments)
    if asked.backgrounds is not None and asked.geometry is None:
        parser.error("--backgrounds goes with --geometry")
    return asked


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

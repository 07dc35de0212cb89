"""Finds what a 3D model refers to and packs both into one: a model's bytes must stand on their own.

GLB, and any model without side files, goes as it is. glTF, OBJ, PLY and DAE with side files (buffers, materials,
textures) become an uncompressed zip, the model first. Only files beneath the model's own folder are taken, and
only references are followed: a picture that no model names stays a catalogue picture.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import zipfile
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

import pyarrow as pa

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import DataError

MODEL_SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".dae")
UNSUPPORTED = (".fbx", ".blend", ".stl", ".usd", ".usda", ".usdc", ".usdz", ".3ds", ".step", ".stp", ".max", ".3mf")
PACKED = "zip"
FOLDER = "models"  # beside the shards of a catalogue's pictures
SCHEMA = pa.schema([*manifest.SCHEMA, ("kind", pa.string()), ("model", pa.binary())])
_BYTES_PER_SHARD = 64 * 2**20
_PLY_HEAD_BYTES = 4096
_TEXTURE_KEYS = ("map_", "bump", "disp", "decal", "norm", "refl")
_EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip's first day, so that equal files give equal bytes

Read = Callable[[str], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class References:
    """The side files of a model that are there, by the name it is looked up by, and why others cannot be had."""

    found: dict[str, str]
    missing: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model of a catalogue: its bytes, their kind (a suffix, or "zip"), and what is known of it."""

    sample_id: str
    name: str
    label: str
    kind: str
    licence: str | None
    data: bytes


def write_models(folder: Path, models: Iterable[StoredModel]) -> int:
    """Write the models as a manifest with two more columns, `kind` and `model`; returns how many there were."""
    waiting: list[StoredModel] = []
    num_models = num_shards = 0
    for model in models:
        waiting.append(model)
        num_models += 1
        if sum(len(item.data) for item in waiting) >= _BYTES_PER_SHARD:
            _write_shard(folder, num_shards, waiting)
            waiting, num_shards = [], num_shards + 1
    if waiting or not num_shards:
        _write_shard(folder, num_shards, waiting)
    return num_models


def read_models(catalog: Path) -> Iterator[StoredModel]:
    """The models of a catalogue's manifest folder, one at a time; none where it has none."""
    if not any((catalog / FOLDER).glob("*.parquet")):
        return
    names = ["sample_id", "image", "label", "licence", "kind", "model"]
    for batch in manifest.stream(catalog / FOLDER, names, batch_rows=1):
        for row in batch.to_pylist():
            name, data = row.pop("image")["path"], row.pop("model")
            yield StoredModel(name=name, data=data, **row)


def model_labels(catalog: Path) -> list[str]:
    """The class of each model of a catalogue's manifest folder; no model is read."""
    return [label for _, label in model_ids(catalog)]


def model_ids(catalog: Path) -> list[tuple[str, str]]:
    """The id and the class of each model of a catalogue's manifest folder; no model is read."""
    if not any((catalog / FOLDER).glob("*.parquet")):
        return []
    rows = manifest.read(catalog / FOLDER, ["sample_id", "label"]).to_pylist()
    return [(str(row["sample_id"]), str(row["label"])) for row in rows]


def _write_shard(folder: Path, number: int, models: Sequence[StoredModel]) -> None:
    rows = [
        {
            "sample_id": model.sample_id,
            "image": {"bytes": None, "path": model.name},
            "label": model.label,
            "source": "model",
            "licence": model.licence,
            "kind": model.kind,
            "model": model.data,
        }
        for model in models
    ]
    manifest.write_table(folder / f"shard-{number:05d}.parquet", pa.Table.from_pylist(rows, schema=SCHEMA))


def is_model(path: str) -> bool:
    """Whether the name is one of a 3D model that can be read."""
    return PurePosixPath(path).suffix.lower() in MODEL_SUFFIXES


def kind_of(path: str) -> str:
    """A model file's kind: its suffix without the dot, in lower case."""
    return PurePosixPath(path).suffix.lower().removeprefix(".")


def find_references(path: str, files: Collection[str], read: Read) -> References:
    """The side files of the model at `path`, among `files` and beneath the model's own folder.

    What a material names lies beside it or beside the model; either way loaders look it up from the model's folder
    by the name that is written there, so that is what it is found by.
    """
    folder = posixpath.dirname(path)
    found: dict[str, str] = {}
    missing: dict[str, str] = {}
    waiting = [(path, name) for name in _named_in(path, read)]
    while waiting:
        by, name = waiting.pop(0)
        places = [posixpath.normpath(posixpath.join(start, name)) for start in (posixpath.dirname(by), folder)]
        side = next((place for place in places if place in files), places[0])
        written = posixpath.normpath(name)
        if _leads_outside(name, side, folder):
            missing[name] = f"named by {path}, but not beneath its folder; put it there"
        elif side not in files:
            missing[side] = f"named by {path}, but missing"
        elif side not in found.values() and side != path:
            found[posixpath.relpath(side, folder or ".") if written.startswith("../") else written] = side
            waiting += [(side, inner) for inner in _named_in(side, read)]
    return References(found=found, missing=missing)


def store(name: str, data: bytes, sides: Sequence[tuple[str, bytes]], *, label: str, licence: str) -> StoredModel:
    """A model as it is kept: by itself, or packed with its side files, named as from the model's folder."""
    content = pack(posixpath.basename(name), data, sides) if sides else data
    kind = PACKED if sides else kind_of(name)
    return StoredModel(sample_id=sample_id(content), name=name, label=label, kind=kind, licence=licence, data=content)


def pack(name: str, data: bytes, sides: Sequence[tuple[str, bytes]]) -> bytes:
    """A model and its side files as one zip, uncompressed, the model first; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for inner, content in [(name, data), *sides]:
            archive.writestr(zipfile.ZipInfo(inner, _EARLIEST), content)
    return buffer.getvalue()


def unpack(data: bytes, folder: Path, *, name: str) -> Path:
    """Lay what `pack` made out below `folder`; returns the model's path. DataError for anything else.

    Only plain, uncompressed files below the folder are written, so it takes no more room than `data` does.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            for entry in entries:
                target = (folder / entry.filename).resolve()
                if not target.is_relative_to(folder.resolve()) or entry.compress_type != zipfile.ZIP_STORED:
                    raise DataError(f"{name}: {entry.filename!r} was not packed here; take the source in again")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(archive.read(entry))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} cannot be unpacked ({error}); take the source in again") from error
    if not entries:
        raise DataError(f"{name} is an empty package; take the source in again")
    return folder / entries[0].filename


def _leads_outside(name: str, side: str, folder: str) -> bool:
    if name.startswith("/") or "://" in name or re.match(r"^[A-Za-z]:", name):
        return True
    return side.startswith("../") or side == ".." or bool(folder and not side.startswith(f"{folder}/"))


def _named_in(path: str, read: Read) -> Iterator[str]:
    """The files that a model or material names, as written there, with forward slashes."""
    readers = {"gltf": _in_gltf, "obj": _in_obj, "mtl": _in_mtl, "dae": _in_dae, "ply": _in_ply}
    reader = readers.get(kind_of(path))
    for name in reader(read(path)) if reader is not None else ():
        plain = name.strip().strip('"').replace("\\", "/")
        if plain and "\0" not in plain:
            yield plain


def _in_gltf(data: bytes) -> list[str]:
    try:
        value: Any = json.loads(data)
        uris = [item.get("uri", "") for key in ("buffers", "images") for item in value.get(key, [])]
    except (ValueError, AttributeError, TypeError, RecursionError):
        return []  # broken: whoever loads it says so
    return [unquote(uri) for uri in uris if isinstance(uri, str) and not uri.startswith("data:")]


def _in_obj(data: bytes) -> list[str]:
    lines = re.findall(rb"^mtllib[ \t]+(.+?)\s*$", data, re.MULTILINE)
    return [line.decode("utf-8", "replace") for line in lines]


def _in_mtl(data: bytes) -> list[str]:
    names = []
    for line in data.decode("utf-8", "replace").splitlines():
        key, _, rest = line.strip().partition(" ")
        if key.lower().startswith(_TEXTURE_KEYS) and rest.strip():
            # options (-s 1 1 1, -bm 0.5) stand before the name, which may hold blanks
            words = rest.split()
            names.append(words[-1] if words[0].startswith("-") else rest)
    return names


def _in_dae(data: bytes) -> list[str]:
    text = data.decode("utf-8", "replace")
    names = re.findall(r"<init_from>\s*(?:<ref>)?\s*([^<>]+?)\s*(?:</ref>)?\s*</init_from>", text)
    return [unquote(name.removeprefix("file://")) for name in names if "." in name]


def _in_ply(data: bytes) -> list[str]:
    head = data[:_PLY_HEAD_BYTES].decode("ascii", "replace").partition("end_header")[0]
    return re.findall(r"^comment TextureFile (.+?)\s*$", head, re.MULTILINE)

"""Looks at a model's file before any library decodes it: what it would cost, what it points to, what it must not.

Everything that a file may name (buffers, material files, textures) comes through one mapping that refuses
addresses, absolute paths and paths that leave the model's folder. Nothing is fetched, nothing is unpickled.
"""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from PIL import Image, UnidentifiedImageError

from components.core.errors import DataError

KINDS = ("glb", "gltf", "obj", "ply", "dae")
MAX_FACES = 2_000_000
MAX_FILE_BYTES = 512 * 2**20
MAX_TEXTURE_PIXELS = 8192 * 8192
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tga", ".tif", ".tiff", ".webp", ".gif")


class SideFiles(Mapping[str, bytes]):
    """The files beside a model, by the names that the model gives; `missing` remembers those that are not there.

    Without a folder it is empty. A name outside the folder, or a picture over the limit, is a DataError, kept
    in `refused` as well since libraries swallow what a file raises.
    """

    def __init__(self, folder: Path | None, *, name: str) -> None:
        self.folder = None if folder is None else folder.resolve()
        self.name = name
        self.missing: list[str] = []
        self.refused: list[DataError] = []

    def __getitem__(self, key: str) -> bytes:
        try:
            path = self._path(key)
        except DataError as error:
            self.refused.append(error)
            raise
        if path is None or not path.is_file():
            self.missing.append(key)
            raise KeyError(key)
        data = path.read_bytes()
        if path.suffix.lower() in _PICTURES:
            try:
                check_picture(data, name=f"{key} of {self.name}")
            except DataError as error:
                self.refused.append(error)
                raise
        return data

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def _path(self, key: str) -> Path | None:
        plain = unquote(str(key)).replace("\\", "/").removeprefix("./")
        if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", plain) or PurePosixPath(plain).is_absolute() or "\0" in plain:
            raise DataError(f"{self.name} names {key!r}: only files beside the model are read, put it there")
        if self.folder is None:
            return None
        path = (self.folder / plain).resolve()
        if not path.is_relative_to(self.folder):
            raise DataError(f"{self.name} names {key!r}, which leaves its folder {self.folder}; put the file inside")
        if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
            raise DataError(f"{key} of {self.name} has over {MAX_FILE_BYTES // 2**20} MB; make it smaller")
        return path


def check_picture(data: bytes, *, name: str) -> None:
    """Refuse a picture by its header alone: one with more pixels than the limit, before anything is decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as picture:
                width, height = picture.size
    except Image.DecompressionBombError as error:
        raise DataError(f"the texture {name} is too large ({error}); shrink it") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return  # the loader leaves it out, and a warning names it
    if width * height > MAX_TEXTURE_PIXELS:
        raise DataError(
            f"the texture {name} has {width} x {height} pixels, allowed are {MAX_TEXTURE_PIXELS:,} in all; shrink it"
        )


def check_file(data: bytes, kind: str, *, name: str, files: SideFiles) -> dict[str, Any]:
    """Refuse, before it is loaded, a file of unknown kind or over a limit; returns the JSON tree of a glTF."""
    if kind not in KINDS:
        raise DataError(f"{name}: models of kind {kind!r} are not read; convert it to one of {', '.join(KINDS)}")
    if not data:
        raise DataError(f"{name} is empty; export it again")
    if len(data) > MAX_FILE_BYTES:
        raise DataError(f"{name} has {len(data) // 2**20} MB, allowed are {MAX_FILE_BYTES // 2**20}; simplify it")
    if kind in ("glb", "gltf"):
        tree, binary = _gltf_tree(data, kind, name)
        _check_gltf(tree, binary, name, files)
        return tree
    if kind == "obj":
        check_num_faces(data.count(b"\nf ") + data.startswith(b"f "), name)
    elif kind == "ply":
        declared = re.search(rb"element\s+face\s+(\d{1,20})", data[:65536])
        check_num_faces(int(declared.group(1)) if declared else 0, name)
    elif b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise DataError(f"{name} declares XML entities, which can name any file; export it without them")
    return {}


def check_num_faces(num_faces: int, name: str) -> None:
    """DataError for more faces than the limit."""
    if num_faces > MAX_FACES:
        raise DataError(f"{name} has {num_faces:,} faces, allowed are {MAX_FACES:,}; simplify it and export it again")


def _gltf_tree(data: bytes, kind: str, name: str) -> tuple[dict[str, Any], bytes]:
    text, binary = data, b""
    if kind == "glb":
        if data[:4] != b"glTF" or len(data) < 20:
            raise DataError(f"{name} is no GLB (it starts with {data[:4]!r}); export it again")
        length = struct.unpack_from("<I", data, 12)[0]
        text, binary = data[20 : 20 + length], data[28 + length :]
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} holds no valid glTF JSON ({error}); export it again") from error
    if not isinstance(tree, dict):
        raise DataError(f"{name} holds a JSON {type(tree).__name__}, a glTF is an object; export it again")
    return tree, binary


def _check_gltf(tree: dict[str, Any], binary: bytes, name: str, files: SideFiles) -> None:
    try:
        accessors = tree.get("accessors", [])
        corners = sum(
            accessors[p["indices"] if "indices" in p else p["attributes"]["POSITION"]]["count"]
            for mesh in tree.get("meshes", [])
            for p in mesh["primitives"]
        )
        check_num_faces(int(corners) // 3, name)
        for accessor in accessors:
            if accessor["count"] > 3 * MAX_FACES:
                raise DataError(f"{name} declares an accessor of {accessor['count']:,} entries; simplify the mesh")
        for number, image in enumerate(tree.get("images", [])):
            blob = _image_bytes(tree, image, binary, files)
            check_picture(blob, name=f"{image.get('name', number)} of {name}")
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{name} is no complete glTF ({type(error).__name__}: {error}); export it again") from error


def _image_bytes(tree: dict[str, Any], image: dict[str, Any], binary: bytes, files: SideFiles) -> bytes:
    """The encoded bytes of one image of a glTF; empty where they cannot be had without decoding a buffer file."""
    if "bufferView" in image:
        view = tree["bufferViews"][image["bufferView"]]
        buffer = tree["buffers"][view.get("buffer", 0)]
        start = view.get("byteOffset", 0)
        whole = _uri_bytes(buffer["uri"], files) if "uri" in buffer else binary
        return whole[start : start + view["byteLength"]]
    return _uri_bytes(image["uri"], files)


def _uri_bytes(uri: str, files: SideFiles) -> bytes:
    if uri.startswith("data:"):
        return base64.b64decode(uri.partition(",")[2])
    try:
        return files[uri]
    except KeyError:
        return b""

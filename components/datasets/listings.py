"""Lists the images, and for a catalogue the 3D models, that an address names: class folders, a CSV, a COCO JSON.

Nothing is skipped in silence: every file that is no sample stands in `ignored` with its reason. Local paths
and anything fsspec knows (s3://...) go the same way. No image is opened here; of the other files only licences,
and the models that are text, for the files that they refer to.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from components.core.errors import DetentError, SourceError
from components.datasets import meshes
from components.datasets.licences import find_licences, is_licence, licence_of
from components.datasets.splits import DEALT

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_PATH_COLUMNS = ("path", "image", "file")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """One image to take in: its path relative to the address, what is known of it, and where its bytes are."""

    path: str
    location: str
    stamp: str  # size and time or e-tag, to see cheaply whether it changed
    size_bytes: int
    label: str | None = None
    split: str | None = None
    group: str | None = None
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """One 3D model to take in, with the side files that it needs, each by the name it is looked up by."""

    entry: ListedFile
    sides: Mapping[str, ListedFile] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """The size of all its files."""
        return self.entry.size_bytes + sum(side.size_bytes for side in self.sides.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wanted:
    labelled: bool
    models: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What an address holds: entries and models sorted by path, and the files left out, path to reason."""

    filesystem: Any
    entries: list[ListedFile]
    models: list[ListedModel] = field(default_factory=list)
    ignored: dict[str, str] = field(default_factory=dict)


def list_images(address: str, *, labelled: bool, models: bool = False) -> Listing:
    """List an address; SourceError says what is wrong with it and what would be right.

    `labelled` sources need a class for each image (first folder, CSV column, COCO category). With `models`, 3D
    models are listed too, and what they refer to is no longer taken for pictures.
    """
    with source_errors(address):
        listing = _list(address, _Wanted(labelled=labelled, models=models))
    if not listing.entries and not listing.models:
        raise SourceError(f"{address} holds no images to use: {_why_none(listing.ignored, labelled)}")
    return listing


@contextmanager
def source_errors(address: str) -> Iterator[None]:
    """Turn what a disk, a network or a store's client raises while reading `address` into SourceError."""
    try:
        yield
    except DetentError:
        raise
    except Exception as error:  # each store's client has errors of its own
        if "://" not in address and not isinstance(error, OSError):
            raise
        raise SourceError(f"cannot read {address}: {error}; check the address and your right to read it") from error


def _list(address: str, wanted: _Wanted) -> Listing:
    filesystem, root = _filesystem(address)
    if not filesystem.exists(root):
        raise SourceError(f"{address} does not exist; name a folder of images, a .csv or a COCO .json")
    if filesystem.isdir(root):
        return _list_folder(filesystem, root, wanted)
    if root.lower().endswith(".csv"):
        return _list_csv(filesystem, root, wanted)
    if root.lower().endswith(".json"):
        return _list_coco(filesystem, root, wanted)
    raise SourceError(f"{address} is a file; name the folder that holds the images, a .csv or a COCO .json")


def _filesystem(address: str) -> tuple[Any, str]:
    import fsspec

    if "://" not in address:
        return fsspec.filesystem("file"), Path(address).absolute().as_posix()
    try:
        filesystem, root = fsspec.core.url_to_fs(address, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise SourceError(f"cannot open {address}: {error}; use a local path or s3:// (extra: detent[s3])") from error
    return filesystem, str(root).rstrip("/")


def _why_none(ignored: Mapping[str, str], labelled: bool) -> str:
    if not ignored:
        return "it is empty"
    path, reason = next(iter(ignored.items()))
    layout = "put each class's images in a sub-folder with its name; " if labelled else ""
    return f"{len(ignored)} files left out, such as {path!r} ({reason}); {layout}use {', '.join(SUFFIXES)}"


def _list_folder(filesystem: Any, root: str, wanted: _Wanted) -> Listing:
    listing = Listing(filesystem=filesystem, entries=[])
    files = _find(filesystem, root)
    licences = find_licences(_plain_files(files), lambda path: bytes(filesystem.cat_file(files[path]["name"])))
    for path, info in sorted(files.items()):
        reason = _unusable(path, wanted) if info["type"] == "file" else "no file (a dangling link, or one back up?)"
        if reason is None and wanted.labelled and "/" not in path:
            reason = "lies beside the class folders, so its class is unknown"
        if reason is None:
            label = path.split("/", 1)[0] if wanted.labelled else None
            _add(listing, _entry(path, info, label=label, licence=licence_of(path, licences)))
        elif not is_licence(path):
            listing.ignored[_printable(path)] = reason
    _attach_sides(listing, files)
    return listing


def _plain_files(files: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [path for path, info in files.items() if info["type"] == "file"]


def _add(listing: Listing, entry: ListedFile) -> None:
    if meshes.is_model(entry.path):
        listing.models.append(ListedModel(entry=entry))
    else:
        listing.entries.append(entry)


def _attach_sides(listing: Listing, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Give each model the side files it refers to; a texture is then no picture of the product any more."""
    usable, sides = set(_plain_files(files)), set()

    def read(path: str) -> bytes:
        return bytes(listing.filesystem.cat_file(files[path]["name"]))

    for number, model in enumerate(listing.models):
        named = meshes.find_references(model.entry.path, usable, read)
        listing.ignored.update({_printable(name): reason for name, reason in named.missing.items()})
        listing.models[number] = replace(
            model, sides={name: _entry(side, files[side]) for name, side in named.found.items()}
        )
        for side in named.found.values():
            sides.add(side)
            listing.ignored.pop(_printable(side), None)
    listing.entries[:] = [entry for entry in listing.entries if entry.path not in sides]


def _find(filesystem: Any, root: str) -> dict[str, Mapping[str, Any]]:
    """Every file below `root` by its relative path."""
    if "file" in filesystem.protocol:
        return {path.relative_to(root).as_posix(): _stat(path) for path in _walk(Path(root), frozenset())}
    found: dict[str, Mapping[str, Any]] = filesystem.find(root, detail=True)
    return {name[len(root) :].lstrip("/"): info for name, info in found.items()}


def _walk(folder: Path, above: frozenset[str]) -> Iterator[Path]:
    """All files, through links to folders too, as data tools link them; a link back up is a leaf."""
    above |= {os.path.realpath(folder)}
    for path in folder.iterdir():
        if path.is_dir() and os.path.realpath(path) not in above:
            yield from _walk(path, above)
        else:
            yield path


def _stat(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {"type": "other"}
    found = path.stat()
    return {"type": "file", "name": path.as_posix(), "size": found.st_size, "mtime": found.st_mtime_ns}


def _unusable(path: str, wanted: _Wanted) -> str | None:
    pure = PurePosixPath(path)
    if any(part.startswith(".") for part in pure.parts):
        return "hidden"
    if _printable(path) != path:
        return "its name is not valid UTF-8"
    if pure.suffix.lower() in SUFFIXES or (wanted.models and meshes.is_model(path)):
        return None
    if wanted.models and pure.suffix.lower() in meshes.UNSUPPORTED:
        return f"no 3D format that is read: {pure.suffix}; export it as .glb"
    return f"not an image suffix: {pure.suffix or 'none'}"


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode()


def _entry(path: str, info: Mapping[str, Any], **known: str | None) -> ListedFile:
    stamp = info.get("ETag") or info.get("mtime") or info.get("LastModified") or ""
    return ListedFile(path=path, location=info["name"], stamp=str(stamp), size_bytes=int(info["size"] or 0), **known)


def _list_csv(filesystem: Any, root: str, wanted: _Wanted) -> Listing:
    try:
        rows = list(csv.DictReader(io.StringIO(_read_text(filesystem, root))))
    except csv.Error as error:
        raise SourceError(f"{root} is no CSV file ({error}); save it as comma-separated text") from error
    columns = list(rows[0]) if rows else []
    column = next((name for name in _PATH_COLUMNS if name in columns), None)
    if column is None or (wanted.labelled and "label" not in columns):
        needed = " and ".join([f"one of {list(_PATH_COLUMNS)}", *(["'label'"] if wanted.labelled else [])])
        raise SourceError(f"{root}: found columns {columns} in {len(rows)} rows; needs a first line with {needed}")
    for number, row in enumerate(rows, start=2):
        if not row[column] or (wanted.labelled and not row["label"]):
            raise SourceError(f"{root} line {number}: empty path or label; fill it in or take the line out")
        if row.get("split") and row["split"] not in DEALT:
            raise SourceError(f"{root} line {number}: split {row['split']!r}, allowed {list(DEALT)} or empty")
    named = [(row[column], _known(row)) for row in rows]
    return _resolve(filesystem, root, named, wanted)


def _known(row: Mapping[str, str]) -> dict[str, str | None]:
    """What a CSV row says of its file; American spelling is understood."""
    licence = row.get("licence") or row.get("license") or None
    return {name: row.get(name) or None for name in ("label", "split", "group")} | {"licence": licence}


def _list_coco(filesystem: Any, root: str, wanted: _Wanted) -> Listing:
    try:
        value = json.loads(_read_text(filesystem, root))
        names = {item["id"]: str(item["name"]) for item in value["categories"]}
        labels: dict[Any, set[str]] = {item["id"]: set() for item in value["images"]}
        for item in value["annotations"]:
            labels[item["image_id"]].add(names[item["category_id"]])
        paths = {item["id"]: str(item["file_name"]) for item in value["images"]}
        terms = {item["id"]: str(item["name"]) for item in value.get("licenses", [])}
        licences = {item["id"]: terms.get(item.get("license")) for item in value["images"]}
    except (ValueError, KeyError, TypeError) as error:
        raise SourceError(
            f"{root} is no COCO file ({type(error).__name__}: {error}); it needs images (id, file_name), "
            "annotations (image_id, category_id) and categories (id, name) that refer to one another"
        ) from error
    single = [
        (paths[key], {"label": next(iter(found)), "licence": licences[key]})
        for key, found in labels.items()
        if len(found) == 1
    ]
    listing = _resolve(filesystem, root, single, wanted)
    for key, found in labels.items():
        if not found:
            listing.ignored[paths[key]] = "no annotation, so its class is unknown"
        elif len(found) > 1:
            listing.ignored[paths[key]] = f"several categories in one image: {', '.join(sorted(found))}"
    return listing


def _read_text(filesystem: Any, root: str) -> str:
    try:
        return str(filesystem.cat_file(root).decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SourceError(f"{root} is not UTF-8 text ({error}); save it as UTF-8") from error


def _resolve(
    filesystem: Any, root: str, rows: Iterable[tuple[str, Mapping[str, str | None]]], wanted: _Wanted
) -> Listing:
    """Look the rows' paths up beside the file at `root`; all that are missing or lead outside are one error."""
    files = _find(filesystem, root.rsplit("/", 1)[0])
    listing = Listing(filesystem=filesystem, entries=[])
    missing: list[str] = []
    seen: set[tuple[str, str | None]] = set()
    for path, known in rows:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "://" in path or "\\" in path:
            raise SourceError(f"{root}: {path!r} leads outside the file's own folder; use paths below it, with /")
        name = pure.as_posix()
        if name not in files:
            missing.append(path)
        elif (reason := _unusable(name, wanted)) is not None:
            listing.ignored[_printable(name)] = reason
        elif (name, known.get("label")) in seen:
            listing.ignored[name] = "listed more than once; taken once"
        else:
            seen.add((name, known.get("label")))
            _add(listing, _entry(name, files[name], **known))
    if missing:
        raise SourceError(
            f"{root}: {len(missing)} of its files are missing, such as {missing[:3]}; paths are taken "
            "relative to the file's folder"
        )
    listing.entries.sort(key=lambda entry: (entry.path, entry.label or ""))
    listing.models.sort(key=lambda model: (model.entry.path, model.entry.label or ""))
    _attach_sides(listing, files)
    return listing

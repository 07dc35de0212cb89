"""The way in: what a user names as a folder, CSV, COCO file or s3:// address becomes a manifest.

Encoded bytes are copied as they are, in the order of their relative paths; equal input gives equal output
bytes, so nothing that depends on the clock or the machine is written. Whether an image is any good is
validation's to say.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from components.core import manifest
from components.core.digests import digest_json, sample_id
from components.core.errors import DataError, SourceError
from components.core.files import atomic_directory, read_json, write_json, write_text
from components.core.manifest import ManifestWriter
from components.core.progress import track
from components.core.workloads import Source
from components.datasets import meshes
from components.datasets.listings import Entry, Listing, list_images, source_errors

MAX_FILE_BYTES = 64 * 2**20
MAX_MODEL_BYTES = 256 * 2**20  # a 3D model with all its textures
# Small enough to hold in memory, large enough that a data set is few files.
_ROWS_PER_SHARD = 1024
_NUM_THREADS = 8
_FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestSummary:
    """What was taken in: counts, images and models per class, and whether anything had changed since the last time."""

    address: str
    num_images: int
    num_models: int
    num_ignored: int
    classes: dict[str, int]
    fingerprint: str
    changed: bool


def ingest(
    address: str, *, out: Path, source: Source, licence: str = "", fingerprint_file: Path | None = None
) -> IngestSummary:
    """Copy the images at `address` into a manifest at `out`, with `source.json` (counts, ignored files) beside.

    3D models, of a source that has them, go to a manifest of their own, `out/models`. `licence` holds where a CSV
    column, a COCO file or a LICENCE file beside the images does not say otherwise. Where `fingerprint_file` holds the
    fingerprint of the very same files, nothing is read or written.
    SourceError when the address cannot be used, StorageError when `out` cannot be written.
    """
    listing = _list(address, source)
    fingerprint = _fingerprint(listing, source, licence)
    record = _record(address, listing)
    if fingerprint_file is not None and _is_current(fingerprint_file, fingerprint, out, record):
        return _summary(out, fingerprint, changed=False)
    with atomic_directory(out) as partial:
        with ManifestWriter(partial, rows_per_shard=_ROWS_PER_SHARD) as writer:
            for entry, data in track(
                _contents(address, listing), f"reading {source.rows} images", total=len(listing.entries)
            ):
                writer.write(_row(entry, data, source, licence))
        if listing.models:
            models = track(_models(address, listing, licence), "reading 3D models", total=len(listing.models))
            meshes.write_models(partial / meshes.FOLDER, models)
        write_json(partial / "source.json", record)
    if fingerprint_file is not None:
        write_text(fingerprint_file, fingerprint)
    return _summary(out, fingerprint, changed=True)


def ingest_nothing(out: Path, source: Source) -> IngestSummary:
    """Write an empty manifest for a source that the user did not name."""
    fingerprint = digest_json([_FORMAT, source.rows])
    try:
        if manifest.count(out) == 0:
            return _summary(out, fingerprint, changed=False)
    except DataError:
        pass
    with atomic_directory(out) as partial:
        with ManifestWriter(partial):
            pass
        record = {"address": "", "num_images": 0, "num_models": 0, "classes": {}, "ignored": {}}
        write_json(partial / "source.json", record)
    return _summary(out, fingerprint, changed=True)


def fingerprint(address: str, *, source: Source, licence: str = "") -> str:
    """A quick digest of the files at an address: relative path, size and time (or e-tag); no content is read."""
    return _fingerprint(_list(address, source), source, licence)


def check_classes(catalog: Path, photos: Path) -> list[str]:
    """The catalogue's classes that have no photos, which are then learned from synthetic images alone.

    DataError names the classes that have photos and no catalogue entry.
    """
    known, shown = ({*manifest.read(folder, ["label"])["label"].to_pylist()} - {None} for folder in (catalog, photos))
    known |= set(meshes.model_labels(catalog))
    strange = sorted(shown - known)
    if strange:
        raise DataError(
            f"{len(strange)} classes have photos but no catalogue entry: {strange[:10]}; add a picture or model of "
            f"each to the catalogue, or rename them to one of its {len(known)} classes"
        )
    return sorted(known - shown)


def _list(address: str, source: Source) -> Listing:
    listing = list_images(address, labelled=source.labelled, models=source.models)
    for entry in [entry for entry in listing.entries if entry.size_bytes > MAX_FILE_BYTES]:
        listing.ignored[entry.path] = f"{entry.size_bytes:,} bytes, at most {MAX_FILE_BYTES:,}"
        listing.entries.remove(entry)
    for model in [model for model in listing.models if model.size_bytes > MAX_MODEL_BYTES]:
        reason = f"{model.size_bytes:,} bytes with its textures, at most {MAX_MODEL_BYTES:,}"
        listing.ignored[model.entry.path] = reason
        listing.models.remove(model)
    labels = {entry.label for entry in listing.entries} | {model.entry.label for model in listing.models}
    if len(labels) < source.min_labels:
        raise SourceError(
            f"{address}: {source.name} needs at least {source.min_labels} classes, found {sorted(map(str, labels))}"
        )
    return listing


def _fingerprint(listing: Listing, source: Source, licence: str) -> str:
    files = [_known(entry) for entry in listing.entries]
    models = [[_known(model.entry), *map(_known, model.sides.values())] for model in listing.models]
    return digest_json([_FORMAT, source.rows, licence, files, models, sorted(listing.ignored.items())])


def _known(entry: Entry) -> list[object]:
    return [entry.path, entry.stamp, entry.size_bytes, entry.label, entry.split, entry.group, entry.licence]


def _is_current(fingerprint_file: Path, fingerprint: str, out: Path, record: dict[str, object]) -> bool:
    if not (fingerprint_file.is_file() and (out / "source.json").is_file()):
        return False
    if fingerprint_file.read_text(encoding="utf-8") != fingerprint:
        return False
    # The same files may be addressed in another way; that is no change.
    written = read_json(out / "source.json") | {"address": record["address"]}
    if written != record or manifest.count(out) != record["num_images"]:
        return False
    return len(meshes.model_labels(out)) == record["num_models"]


def _contents(address: str, listing: Listing) -> Iterator[tuple[Entry, bytes]]:
    def read(entry: Entry) -> bytes:
        return _read(address, listing, entry)

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        for start in range(0, len(listing.entries), 128):
            block = listing.entries[start : start + 128]
            yield from zip(block, pool.map(read, block), strict=True)


def _models(address: str, listing: Listing, licence: str) -> Iterator[meshes.StoredModel]:
    def read(entry: Entry) -> bytes:
        return _read(address, listing, entry)

    for model in listing.models:
        entry = model.entry
        sides = [(name, read(side)) for name, side in model.sides.items()]
        yield meshes.store(entry.path, read(entry), sides, label=str(entry.label), licence=entry.licence or licence)


def _read(address: str, listing: Listing, entry: Entry) -> bytes:
    with source_errors(f"{address} ({entry.path})"):
        return bytes(listing.filesystem.cat_file(entry.location))


def _row(entry: Entry, data: bytes, source: Source, licence: str) -> dict[str, object]:
    return {
        "sample_id": sample_id(data),
        "image": {"bytes": data, "path": entry.path},
        "label": entry.label,
        "split": entry.split,
        "group": entry.group,
        "source": source.rows,
        "licence": entry.licence or licence,
    }


def _record(address: str, listing: Listing) -> dict[str, object]:
    """What source.json says; of an absolute local path only the last part, as the rest names a machine."""
    taken = [*listing.entries, *(model.entry for model in listing.models)]
    classes = Counter(entry.label for entry in taken if entry.label is not None)
    return {
        "address": Path(address).name if Path(address).is_absolute() else address,
        "num_images": len(listing.entries),
        "num_models": len(listing.models),
        "classes": dict(sorted(classes.items())),
        "ignored": listing.ignored,
    }


def _summary(out: Path, fingerprint: str, *, changed: bool) -> IngestSummary:
    record = read_json(out / "source.json")
    return IngestSummary(
        address=record["address"],
        num_images=record["num_images"],
        num_models=record.get("num_models", 0),
        num_ignored=len(record["ignored"]),
        classes=record["classes"],
        fingerprint=fingerprint,
        changed=changed,
    )

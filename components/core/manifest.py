"""The manifest: one Parquet row per sample, in shards, read as a stream.

A manifest is a folder of `shard-*.parquet`. The columns below are always there; `f_*` factor columns,
`mask` (PNG bytes) and `box` (left, top, right, bottom in pixels) come where a generator knows them, and `objects`
(mask, box and label each) where it tells the things on an image apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from components.core.errors import DataError
from components.core.files import atomic_path

if TYPE_CHECKING:
    import pyarrow.dataset as pads

Split = Literal["train", "search", "certify", "replay", "reserve"]
Source = Literal["catalog", "model", "photo", "render", "paste", "palm", "background"]

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("image", IMAGE),
        ("label", pa.string()),
        ("split", pa.string()),
        ("source", pa.string()),
        ("group", pa.string()),  # samples of one group always share a split
        ("parents", pa.list_(pa.string())),
        ("recipe", pa.string()),  # JSON: generator, version, seed, parameters
        ("licence", pa.string()),
        ("width_px", pa.int32()),
        ("height_px", pa.int32()),
    ]
)
_BOX = pa.list_(pa.int32())
OBJECT = pa.struct([("mask", pa.binary()), ("box", _BOX), ("label", pa.string())])
OPTIONAL = {"mask": pa.binary(), "box": _BOX, "objects": pa.list_(OBJECT)}


class ManifestWriter:
    """Writes rows to a folder in shards, each shard atomically; use as a context manager.

    Rows are mappings with the columns of SCHEMA (missing ones become null) and any `f_*`, `mask`, `box`, `objects`.
    Equal rows in equal order give equal bytes.
    """

    def __init__(self, folder: Path, *, rows_per_shard: int = 2048, prefix: str = "shard") -> None:
        self._folder = folder
        self._rows_per_shard = rows_per_shard
        self._prefix = prefix
        self._rows: list[Mapping[str, Any]] = []
        self.num_rows = 0
        self.num_shards = 0

    def write(self, row: Mapping[str, Any]) -> None:
        """Add one row; a full shard is written at once."""
        self._rows.append(row)
        self.num_rows += 1
        if len(self._rows) >= self._rows_per_shard:
            self._flush()

    def _flush(self) -> None:
        write_shard(self._folder / f"{self._prefix}-{self.num_shards:05d}.parquet", self._rows)
        self.num_shards += 1
        self._rows = []

    def __enter__(self) -> ManifestWriter:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and (self._rows or self.num_shards == 0):
            self._flush()


def write_shard(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write one shard atomically; an empty list gives a shard with the schema and no rows."""
    write_table(path, table_from_rows(rows))


def write_table(path: Path, table: pa.Table) -> None:
    """Write a Parquet table atomically, uncompressed where the bytes are images already compressed."""
    with atomic_path(path) as partial:
        columns = [name for name in table.column_names if name not in ("image", "mask", "objects")]
        pq.write_table(table, partial, compression=dict.fromkeys(columns, "zstd") or "none", row_group_size=512)


def table_from_rows(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Build a table with the manifest's schema; factor columns take the type of their values."""
    extra = sorted({name for row in rows for name in row} - set(SCHEMA.names))
    unknown = [name for name in extra if not name.startswith("f_") and name not in OPTIONAL]
    if unknown:
        raise DataError(f"unknown manifest columns {unknown}: use {SCHEMA.names}, {sorted(OPTIONAL)} or a name in f_*")
    arrays = [pa.array([row.get(field.name) for row in rows], type=field.type) for field in SCHEMA]
    arrays += [pa.array([row.get(name) for row in rows], type=OPTIONAL.get(name)) for name in extra]
    return pa.table(arrays, names=[*SCHEMA.names, *extra])


def shards(folder: Path) -> list[Path]:
    """The shards of a manifest in order; DataError when the folder holds none."""
    found = sorted(folder.glob("*.parquet"))
    if not found:
        raise DataError(f"no manifest at {folder}: expected shard-*.parquet there; run the stage that makes it")
    return found


def dataset(folder: Path) -> pads.Dataset:
    """A manifest as a pyarrow dataset over all its shards, with the union of their factor columns."""
    import pyarrow.dataset as pads  # brings pandas along, which workers that only write can do without

    paths = shards(folder)
    try:
        schema = pa.unify_schemas([pq.read_schema(path) for path in paths], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the shards of {folder} disagree on their columns: {error}; make it again") from error
    missing = [name for name in SCHEMA.names if name not in schema.names]
    if missing:
        raise DataError(f"{folder} is no manifest: columns {missing} are missing")
    return pads.dataset(paths, schema=schema, format="parquet")


def read(folder: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a manifest, or only some columns of it, into memory."""
    return dataset(folder).to_table(columns=list(columns) if columns is not None else None)


def stream(folder: Path, columns: Sequence[str] | None = None, *, batch_rows: int = 512) -> Iterator[pa.RecordBatch]:
    """Read a manifest in batches of at most `batch_rows` rows, in shard order."""
    names = list(columns) if columns is not None else None
    yield from dataset(folder).to_batches(columns=names, batch_size=batch_rows)


def count(folder: Path) -> int:
    """The number of rows, read from the shards' footers."""
    return sum(int(pq.read_metadata(path).num_rows) for path in shards(folder))

"""The verdict table: whatever a workload does, it ends in one row a sample - right, wrong or abstained.

Parquet sorted by `sample_id`: `verdict` (1 right, 0 wrong, -1 abstained), `score`, `prediction`, `s_*` slice
columns (strings), and where they are known `label` (the truth) and `group` (samples of one group belong together:
one visit, one person). Two tables, old and new, joined on the id, are all that selection needs. A table may be
stamped with the digests of the model and the data set that it came from; the stamp travels in the file.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.core.errors import DataError
from components.core.files import atomic_path

RIGHT, WRONG, ABSTAINED = 1, 0, -1
SCHEMA = pa.schema(
    [("sample_id", pa.string()), ("verdict", pa.int8()), ("score", pa.float32()), ("prediction", pa.string())]
)
LABEL, GROUP = "label", "group"
_STAMPS = {"model": b"detent.model", "dataset": b"detent.dataset"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Which model gave these verdicts and on which data set: digests, None where nobody said."""

    model: str | None = None
    dataset: str | None = None


def slice_columns(table: pa.Table) -> list[str]:
    """The names of the slice columns, in order."""
    return sorted(name for name in table.column_names if name.startswith("s_"))


def group_columns(table: pa.Table) -> list[str]:
    """The columns that say which samples belong together: `group`, and `group_*` where they share several things."""
    return sorted(name for name in table.column_names if name == GROUP or name.startswith(f"{GROUP}_"))


def stamp(table: pa.Table, *, model: str, dataset: str) -> pa.Table:
    """The table with the digests of its model and its data set in the metadata."""
    metadata = {_STAMPS["model"]: model.encode(), _STAMPS["dataset"]: dataset.encode()}
    return table.replace_schema_metadata({**(table.schema.metadata or {}), **metadata})


def read_stamp(table: pa.Table) -> Stamp:
    """The stamp of a table; empty when it was never stamped."""
    metadata = table.schema.metadata or {}
    found = {name: metadata[key].decode() for name, key in _STAMPS.items() if key in metadata}
    return Stamp(**found)


def check(table: pa.Table, *, name: str) -> pa.Table:
    """Return the table sorted by id with the contract's types, or raise DataError naming what is wrong."""
    _check_columns(table, name)
    metadata = table.schema.metadata
    table = _with_types(table.select([*SCHEMA.names, *_texts(table)]), name)
    if pc.any(pc.is_nan(table["score"])).as_py():
        raise DataError(f"verdict table {name}: NaN in 'score'; a model that gives NaN cannot be judged")
    strange = set(pc.unique(table["verdict"]).to_pylist()) - {RIGHT, WRONG, ABSTAINED}
    if strange:
        raise DataError(f"verdict table {name}: verdicts {sorted(strange)} are not among 1, 0 and -1")
    table = table.sort_by("sample_id")
    if table.num_rows and len(pc.unique(table["sample_id"])) != table.num_rows:
        counts = pc.value_counts(table["sample_id"]).to_pylist()
        twice = sorted(row["values"] for row in counts if row["counts"] > 1)
        raise DataError(f"verdict table {name}: {len(twice)} duplicate ids, first {twice[0]!r}; keep one row a sample")
    return table.replace_schema_metadata(metadata)


def write(path: Path, table: pa.Table) -> None:
    """Check a verdict table and write it atomically, in row groups large enough to stream."""
    checked = check(table, name=path.name)
    with atomic_path(path) as partial:
        pq.write_table(checked, partial, compression="zstd")


def read(path: Path) -> pa.Table:
    """Read and check a verdict table."""
    return check(pq.read_table(path), name=str(path))


def _texts(table: pa.Table) -> list[str]:
    """The columns of text beside those of the schema."""
    label = [LABEL] if LABEL in table.column_names else []
    return [*label, *group_columns(table), *slice_columns(table)]


def _check_columns(table: pa.Table, name: str) -> None:
    missing = [column for column in SCHEMA.names if column not in table.column_names]
    if missing:
        raise DataError(f"verdict table {name}: columns {missing} are missing, found {table.column_names}")
    twice = sorted({column for column in table.column_names if table.column_names.count(column) > 1})
    if twice:
        raise DataError(f"verdict table {name}: columns {twice} stand there more than once; rename or drop them")
    for column in ("sample_id", "verdict", "score"):
        if table[column].null_count:
            raise DataError(f"verdict table {name}: {table[column].null_count} empty values in '{column}'")


def _with_types(table: pa.Table, name: str) -> pa.Table:
    texts = [pa.field(column, pa.string()) for column in _texts(table)]
    for field in [*SCHEMA, *texts]:
        try:
            column = table[field.name].cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            raise DataError(f"verdict table {name}: column '{field.name}' is not {field.type}: {error}") from error
        table = table.set_column(table.column_names.index(field.name), field, column)
    return table

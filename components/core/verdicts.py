"""The verdict table: whatever a workload does, it ends in one row a sample - right, wrong or abstained.

Parquet sorted by `sample_id`: `verdict` (1 right, 0 wrong, -1 abstained), `score`, `prediction` and `s_*`
slice columns (strings). Two tables, old and new, joined on the id, are all that selection needs.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.core.errors import DataError
from components.core.manifest import write_table

RIGHT, WRONG, ABSTAINED = 1, 0, -1
SCHEMA = pa.schema(
    [("sample_id", pa.string()), ("verdict", pa.int8()), ("score", pa.float32()), ("prediction", pa.string())]
)


def slice_columns(table: pa.Table) -> list[str]:
    """The names of the slice columns, in order."""
    return sorted(name for name in table.column_names if name.startswith("s_"))


def check(table: pa.Table, *, name: str) -> pa.Table:
    """Return the table sorted by id with the contract's types, or raise DataError naming what is wrong."""
    missing = [column for column in SCHEMA.names if column not in table.column_names]
    if missing:
        raise DataError(f"verdict table {name}: columns {missing} are missing, found {table.column_names}")
    table = table.select([*SCHEMA.names, *slice_columns(table)])
    for column in ("sample_id", "verdict", "score"):
        if table[column].null_count:
            raise DataError(f"verdict table {name}: {table[column].null_count} empty values in '{column}'")
    for field in SCHEMA:
        position = table.column_names.index(field.name)
        try:
            table = table.set_column(position, field, table[field.name].cast(field.type))
        except pa.ArrowInvalid as error:
            raise DataError(f"verdict table {name}: column '{field.name}' is not {field.type}: {error}") from error
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
    return table


def write(path: Path, table: pa.Table) -> None:
    """Check a verdict table and write it atomically."""
    write_table(path, check(table, name=path.name))


def read(path: Path) -> pa.Table:
    """Read and check a verdict table."""
    return check(pq.read_table(path), name=str(path))

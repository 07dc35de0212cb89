"""Counts flips over two Parquet tables of any length, both sorted by sample_id, in one pass and bounded memory.

Batches of both files are aligned row by row; ids that differ, repeat or are out of order are refused with the
position. Slice columns are read as dictionaries and counted by code, so strings are never compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from components.core import progress, verdicts
from components.core.errors import DataError
from components.selection.gate import flips
from components.selection.gate.flips import Tally

_BATCH_ROWS = 1 << 19
_MAX_IDS = 1000
_MERGE_EVERY = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """The counts of two long tables, and the ids of the first samples that broke and that were repaired."""

    tally: Tally
    negative_ids: tuple[str, ...]
    positive_ids: tuple[str, ...]


def tally_files(old: Path, new: Path, columns: Sequence[str] | None, pairs: Sequence[tuple[str, str]] = ()) -> Streamed:
    """Count two verdict tables in Parquet; `columns` None takes every s_* column. DataError says what differs."""
    tables = _Table(old), _Table(new)
    if tables[0].num_rows != tables[1].num_rows:
        raise DataError(f"{old} has {tables[0].num_rows} samples and {new} has {tables[1].num_rows}; use one set")
    chosen = _chosen(tables, columns, pairs)
    tallies: list[Tally] = []
    negative: list[str] = []
    positive: list[str] = []
    last: str | None = None
    total = -(-tables[0].num_rows // _BATCH_ROWS)
    for first, second in progress.track(_aligned(*tables, chosen), "counting flips", total=total):
        last = _check_ids(first, second, last, tables)
        states = [_verdicts(batch, table) for batch, table in zip((first, second), tables, strict=True)]
        _collect(second["sample_id"], (states[0] == 1) & (states[1] != 1), negative)
        _collect(second["sample_id"], (states[0] != 1) & (states[1] == 1), positive)
        slices = _slices(first, second, chosen)
        slices |= {f"{a} x {b}": flips.crossed(slices[a], slices[b]) for a, b in pairs}
        kept = (
            slices if columns is None else {name: slices[name] for name in slices if name in columns or " x " in name}
        )
        tallies.append(flips.tally_batch(states[0], states[1], kept))
        if len(tallies) >= _MERGE_EVERY:
            tallies = [flips.merge(tallies)]
    if not tallies:
        raise DataError(f"{old} and {new} hold no rows; evaluate both models on the same labelled samples")
    return Streamed(tally=flips.merge(tallies), negative_ids=tuple(negative), positive_ids=tuple(positive))


class _Table:
    """One Parquet file with the verdict columns, read in batches."""

    def __init__(self, path: Path) -> None:
        names = pq.read_schema(path).names
        missing = [name for name in ("sample_id", "verdict") if name not in names]
        if missing:
            raise DataError(f"verdict table {path}: columns {missing} are missing, found {names}")
        self.path = path
        self.slices = [name for name in names if name.startswith("s_")]
        self.has_score = "score" in names
        self.file = pq.ParquetFile(path, read_dictionary=self.slices, pre_buffer=False)
        self.num_rows = int(self.file.metadata.num_rows)

    def batches(self, slices: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Batches of ids, verdicts, scores and the chosen slice columns."""
        score = ["score"] if self.has_score else []
        names = ["sample_id", "verdict", *score, *(name for name in slices if name in self.slices)]
        yield from self.file.iter_batches(batch_size=_BATCH_ROWS, columns=names)


def _chosen(
    tables: tuple[_Table, _Table], columns: Sequence[str] | None, pairs: Sequence[tuple[str, str]]
) -> list[str]:
    found = {*tables[0].slices, *tables[1].slices}
    wanted = sorted(found) if columns is None else [*columns, *(column for pair in pairs for column in pair)]
    for column in wanted:
        flips.check_column_name(column)
        if column not in found:
            raise DataError(f"slice column '{column}' is not in the verdict tables, found {sorted(found)}")
    return list(dict.fromkeys(wanted))


def _aligned(first: _Table, second: _Table, slices: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """Row groups may end at other rows in the two files: cut the longer batch and keep its rest."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        sources = _ahead(first.batches(slices), pool), _ahead(second.batches(slices), pool)
        left, right = next(sources[0], None), next(sources[1], None)
        while left is not None and right is not None:
            rows = min(left.num_rows, right.num_rows)
            if rows:
                yield left.slice(0, rows), right.slice(0, rows)
            left = left.slice(rows) if left.num_rows > rows else next(sources[0], None)
            right = right.slice(rows) if right.num_rows > rows else next(sources[1], None)


def _ahead(batches: Iterator[pa.RecordBatch], pool: ThreadPoolExecutor) -> Iterator[pa.RecordBatch]:
    """Decode the next batch while this one is counted: decoding is most of the work and runs beside Python."""
    following = pool.submit(next, batches, None)
    while (batch := following.result()) is not None:
        following = pool.submit(next, batches, None)
        yield batch


def _check_ids(first: pa.RecordBatch, second: pa.RecordBatch, last: str | None, tables: tuple[_Table, _Table]) -> str:
    old, new = first["sample_id"], second["sample_id"]
    if old.null_count or new.null_count:
        raise DataError(f"{tables[0].path} or {tables[1].path}: empty values in 'sample_id'")
    if old.type != new.type:
        raise DataError(f"sample_id is {old.type} in {tables[0].path} and {new.type} in {tables[1].path}; use text")
    if not old.equals(new):
        at = pc.index(pc.equal(old, new), False).as_py()
        raise DataError(
            f"{tables[0].path} and {tables[1].path} hold different samples: {old[at]} against {new[at]}; evaluate both "
            "models on the same samples, and sort both tables by sample_id"
        )
    ascending = pc.all(pc.less(new[:-1], new[1:])).as_py() is not False
    if not ascending or (last is not None and new[0].as_py() <= last):
        raise DataError(f"{tables[1].path}: ids repeat or are not sorted; keep one row a sample, sorted by sample_id")
    return str(new[-1].as_py())


def _verdicts(batch: pa.RecordBatch, table: _Table) -> NDArray[np.int8]:
    column = batch["verdict"]
    bounds = pc.min_max(column).as_py()
    if column.null_count or bounds["min"] < verdicts.ABSTAINED or bounds["max"] > verdicts.RIGHT:
        raise DataError(f"verdict table {table.path}: a verdict is empty or not among 1, 0 and -1")
    if table.has_score and pc.any(pc.is_nan(batch["score"])).as_py():
        raise DataError(f"verdict table {table.path}: NaN in 'score'; a model that gives NaN cannot be judged")
    return np.asarray(column.cast(pa.int8()).to_numpy(zero_copy_only=False), dtype=np.int8)


def _slices(first: pa.RecordBatch, second: pa.RecordBatch, chosen: Sequence[str]) -> dict[str, pa.DictionaryArray]:
    found = {}
    for name in chosen:
        columns = [batch[name] for batch in (second, first) if name in batch.schema.names]
        if len(columns) == 2 and not _same_values(columns[0], columns[1]):
            raise DataError(f"'{name}' differs between the tables; a slice must not depend on the model")
        found[name] = columns[0]
    return found


def _same_values(a: pa.DictionaryArray, b: pa.DictionaryArray) -> bool:
    if a.dictionary.equals(b.dictionary):
        return bool(a.indices.equals(b.indices))
    return bool(a.cast(a.type.value_type).equals(b.cast(b.type.value_type)))


def _collect(ids: pa.Array, mask: NDArray[np.bool_], into: list[str]) -> None:
    room = _MAX_IDS - len(into)
    if room > 0:
        into += ids.take(pa.array(np.flatnonzero(mask)[:room])).to_pylist()

"""What changed between two models on the same samples: joined verdicts, and the nine counts they add up to.

A sample's state is one of nine: abstained, wrong or right before, times the same now. Everything that the gate
counts is a sum of some of the nine, so tables of any length reduce to nine numbers a slice, and counts of
chunks add up to the counts of the whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.core import verdicts
from components.core.decisions import Counts
from components.core.errors import DataError

NUM_STATES = 9  # state = 3 * (old + 1) + (new + 1), verdicts being -1, 0 and 1
_LOST = (6, 7)
_GAINED = (2, 5)
_BOTH = 8
_CROSS = " x "


@dataclass(frozen=True, eq=False)
class Rows:
    """Two aligned verdict tables in memory, sorted by id; `slices` are dictionary arrays of strings.

    `groups` says which samples belong together; None: they are taken as independent (see `groups.py`).
    """

    ids: pa.Array
    old: NDArray[np.int8]
    new: NDArray[np.int8]
    old_table: pa.Table
    new_table: pa.Table
    slices: dict[str, pa.DictionaryArray]
    groups: pa.DictionaryArray | None = None

    def __len__(self) -> int:
        return len(self.new)

    def negative(self, *, abstained_is_wrong: bool) -> NDArray[np.bool_]:
        """Right before, wrong now (or abstained, where that counts as wrong)."""
        lost = self.new <= 0 if abstained_is_wrong else self.new == 0
        return np.asarray((self.old == 1) & lost, dtype=bool)

    def positive(self) -> NDArray[np.bool_]:
        """Not right before, right now."""
        return np.asarray((self.old != 1) & (self.new == 1), dtype=bool)


@dataclass(frozen=True, eq=False)
class Cells:
    """The nine counts of every value of one slice column; `counts` has shape (values, 9); None is no value."""

    values: tuple[str | None, ...]
    counts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Tally:
    """The nine counts overall, shape (9,), and per slice column."""

    total: NDArray[np.int64]
    columns: dict[str, Cells]


def join(old: pa.Table, new: pa.Table, *, name: str) -> Rows:
    """Check two tables, align them by id and bring their slice columns together; DataError says what differs."""
    _check_id_types(old, new, name)
    old, new = verdicts.check(old, name=f"{name} (old)"), verdicts.check(new, name=f"{name} (new)")
    _check_same_ids(old, new, name)
    for table, side in ((old, "old"), (new, "new")):
        if pc.all(pc.equal(table["verdict"], verdicts.ABSTAINED)).as_py():
            raise DataError(f"{name}: the {side} model abstained on every sample; there is nothing to compare")
    return Rows(
        ids=one_chunk(new["sample_id"]),
        old=one_chunk(old["verdict"]).to_numpy(),
        new=one_chunk(new["verdict"]).to_numpy(),
        old_table=old,
        new_table=new,
        slices=_slices(old, new, name),
    )


def tally(rows: Rows, columns: Sequence[str], pairs: Sequence[tuple[str, str]] = ()) -> Tally:
    """Count the states of all samples, per value of each column and per pair of values of each pair."""
    for column in [*columns, *(column for pair in pairs for column in pair)]:
        if column not in rows.slices:
            raise DataError(f"slice column '{column}' is not in the verdict tables, found {sorted(rows.slices)}")
    chosen = {column: rows.slices[column] for column in columns}
    chosen |= {f"{a}{_CROSS}{b}": crossed(rows.slices[a], rows.slices[b]) for a, b in pairs}
    return tally_batch(rows.old, rows.new, chosen)


def tally_batch(old: NDArray[np.int8], new: NDArray[np.int8], slices: dict[str, pa.DictionaryArray]) -> Tally:
    """Count one batch; the codes of a dictionary array are counted without looking at its strings."""
    states = 3 * (old.astype(np.int32) + 1) + (new + 1)
    total = np.bincount(states, minlength=NUM_STATES)
    return Tally(total, {name: _cells(states, column) for name, column in slices.items()})


def merge(tallies: Sequence[Tally]) -> Tally:
    """Add the counts of chunks; the values of a column come out sorted, so chunking leaves no trace."""
    if not tallies:
        raise ValueError("no chunks to merge")
    columns = tallies[0].columns.keys()
    total = reduce(np.add, (part.total for part in tallies))
    return Tally(total, {name: _merge_cells([part.columns[name] for part in tallies]) for name in columns})


def counts_of(states: NDArray[np.int64], *, abstained_is_wrong: bool) -> Counts:
    """The named counts of one vector of nine."""
    grid = states.reshape(3, 3)
    return Counts(
        n=int(states.sum()),
        n_old_right=int(grid[2].sum()),
        n_new_right=int(grid[:, 2].sum()),
        negative_flips=int(states[7] + (states[6] if abstained_is_wrong else 0)),
        positive_flips=int(states[list(_GAINED)].sum()),
        old_abstained=int(grid[0].sum()),
        new_abstained=int(grid[:, 0].sum()),
    )


def discordant(states: NDArray[np.int64]) -> tuple[int, int, int]:
    """Gained, lost, right under both: abstaining is not right, whatever the rule about flips."""
    return int(states[list(_GAINED)].sum()), int(states[list(_LOST)].sum()), int(states[_BOTH])


def crossed(first: pa.DictionaryArray, second: pa.DictionaryArray) -> pa.DictionaryArray:
    """Two slice columns as one, with a value for each pair of values that occurs; no value where either has none."""
    width = max(len(second.dictionary), 1)
    a, b = (column.indices.fill_null(-1).to_numpy().astype(np.int64) for column in (first, second))
    joint = np.where((a < 0) | (b < 0), -1, a * width + b)
    found, codes = np.unique(joint[joint >= 0], return_inverse=True)
    indices = np.full(len(joint), -1, dtype=np.int32)
    indices[joint >= 0] = codes
    left, right = first.dictionary.to_pylist(), second.dictionary.to_pylist()
    names = [f"{_escaped(left[code // width])}{_CROSS}{_escaped(right[code % width])}" for code in found.tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=indices < 0), pa.array(names, pa.string()))


def check_column_name(column: str) -> None:
    """Refuse a slice column whose name is that of a pair of columns."""
    if _CROSS in column:
        raise DataError(f"slice column {column!r}: ' x ' in a name stands for a pair of columns; rename it")


def _escaped(value: str) -> str:
    return value.replace(_CROSS, " xx ")


def _cells(states: NDArray[np.int32], column: pa.DictionaryArray) -> Cells:
    values = column.dictionary.to_pylist()
    codes = column.indices
    if codes.null_count:
        codes = codes.fill_null(len(values))
        values = [*values, None]
    keys = codes.to_numpy(zero_copy_only=False).astype(np.int64) * NUM_STATES + states
    counts = np.bincount(keys, minlength=len(values) * NUM_STATES).reshape(-1, NUM_STATES)
    return _merge_cells([Cells(tuple(values), counts)])


def _merge_cells(parts: Sequence[Cells]) -> Cells:
    sums: dict[str | None, NDArray[np.int64]] = {}
    for part in parts:
        for value, counts in zip(part.values, part.counts, strict=True):
            if counts.any():
                sums[value] = sums[value] + counts if value in sums else counts
    values = sorted(sums, key=lambda value: (value is None, value or ""))
    stacked = np.stack([sums[value] for value in values]) if values else np.zeros((0, NUM_STATES), np.int64)
    return Cells(tuple(values), stacked)


def _check_id_types(old: pa.Table, new: pa.Table, name: str) -> None:
    kinds = [table.schema.field("sample_id").type for table in (old, new) if "sample_id" in table.column_names]
    if len(kinds) == 2 and kinds[0] != kinds[1] and not all(_is_text(kind) for kind in kinds):
        raise DataError(f"{name}: sample_id is {kinds[0]} in the old table and {kinds[1]} in the new; use text in both")


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind))


def _check_same_ids(old: pa.Table, new: pa.Table, name: str) -> None:
    if not new.num_rows or not old.num_rows:
        raise DataError(f"{name}: a verdict table has no rows; evaluate both models on the same labelled samples")
    if old["sample_id"].equals(new["sample_id"]):
        return
    only_old = sorted(set(old["sample_id"].to_pylist()) - set(new["sample_id"].to_pylist()))
    only_new = sorted(set(new["sample_id"].to_pylist()) - set(old["sample_id"].to_pylist()))
    raise DataError(
        f"{name}: the tables hold different samples, {len(only_old)} only in the old (first {only_old[:1]}), "
        f"{len(only_new)} only in the new (first {only_new[:1]}); evaluate both models on the same samples"
    )


def _slices(old: pa.Table, new: pa.Table, name: str) -> dict[str, pa.DictionaryArray]:
    found = {}
    for column in sorted({*verdicts.slice_columns(old), *verdicts.slice_columns(new)}):
        check_column_name(column)
        tables = [table for table in (new, old) if column in table.column_names]
        if len(tables) == 2 and not tables[0][column].equals(tables[1][column]):
            raise DataError(f"{name}: '{column}' differs between the tables; a slice must not depend on the model")
        values = one_chunk(tables[0][column])
        found[column] = pc.if_else(pc.equal(values, ""), None, values).dictionary_encode()
    return found


def one_chunk(column: pa.ChunkedArray) -> pa.Array:
    """A column as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)

"""Which samples belong together: shots of one scene, one visit, one person do not fail independently.

A verdict table says so in its column `group` (or, as a slice column, `s_group`). Under `groups: auto` it is used
wherever any group holds two samples. A trial that shares several things with others (a pair of people) has no
one group: there every thing shared is a column `group_*`, the things are dealt into disjoint cells, each trial
stays inside one cell, and `group` names the cell. Tables whose cells are not disjoint are refused.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.core import verdicts
from components.core.errors import DataError
from components.selection.gate.flips import Rows, one_chunk
from components.selection.gate.policy import Policy

_SLICE_GROUP = "s_group"


def with_groups(rows: Rows, policy: Policy, *, name: str) -> Rows:
    """The rows with the groups that the policy tests by; None where samples are independent.

    DataError when the column that the policy names is not there, or when several group columns have no common cell.
    """
    if policy.groups == "none":
        return rows
    column = _declared(rows, name)
    if policy.groups not in ("auto", verdicts.GROUP, _SLICE_GROUP):
        column = rows.slices.get(policy.groups)
    if column is None:
        if policy.groups == "auto":
            return rows
        raise DataError(
            f"{name}: group column '{policy.groups}' is not in the verdict tables, found {sorted(rows.slices)}; "
            "selection.policy.groups: auto takes what there is"
        )
    groups = _whole(column, rows)
    if policy.groups == "auto" and len(groups.dictionary) == len(rows):
        return rows
    return replace(rows, groups=groups)


def num_groups(rows: Rows) -> int:
    """The number of groups, taking each sample for one where there are none."""
    return len(rows) if rows.groups is None else len(rows.groups.dictionary)


def group_column(policy: Policy) -> str:
    """The slice column that says what belongs together, and is no slice."""
    return _SLICE_GROUP if policy.groups in ("auto", verdicts.GROUP) else policy.groups


def _declared(rows: Rows, name: str) -> pa.DictionaryArray | None:
    tables = rows.new_table, rows.old_table
    names = sorted({column for table in tables for column in verdicts.group_columns(table)})
    columns = {column: _same(column, rows, name) for column in names}
    shared = [column for column in names if column != verdicts.GROUP]
    if shared:
        _check_cells(columns, shared, name)
    found = columns.get(verdicts.GROUP)
    return found.dictionary_encode() if found is not None else rows.slices.get(_SLICE_GROUP)


def _same(column: str, rows: Rows, name: str) -> pa.Array:
    found = [one_chunk(t[column]) for t in (rows.new_table, rows.old_table) if column in t.column_names]
    if len(found) == 2 and not found[0].equals(found[1]):
        raise DataError(f"{name}: '{column}' differs between the tables; a group must not depend on the model")
    return found[0]


def _check_cells(columns: dict[str, pa.Array], shared: list[str], name: str) -> None:
    """Every thing that trials share must lie in one cell, in whichever column it is named."""
    if verdicts.GROUP not in columns:
        if len(shared) == 1:
            raise DataError(f"{name}: call the column '{shared[0]}' {verdicts.GROUP}, if it says what belongs together")
        raise DataError(f"{name}: the trials share {shared}, which no one group covers; {_WAY_OUT}")
    cells = columns[verdicts.GROUP].to_pylist()
    cell_of: dict[str, str] = {}
    for column in shared:
        for thing, cell in zip(columns[column].to_pylist(), cells, strict=True):
            if thing is not None and cell_of.setdefault(thing, cell) != cell:
                raise DataError(
                    f"{name}: '{thing}' of {column} stands in the cells {cell_of[thing]!r} and {cell!r}; {_WAY_OUT}"
                )


_WAY_OUT = (
    "deal the identities into disjoint cells, keep every trial inside one, and name the cell in the column "
    f"'{verdicts.GROUP}'"
)


def _whole(column: pa.DictionaryArray, rows: Rows) -> pa.DictionaryArray:
    """Every sample in a group: one without is a group of its own."""
    if not column.null_count and not column.indices.null_count:
        return _compact(column)
    own = pc.binary_join_element_wise("alone", rows.ids.cast(pa.string()), " ")
    return pc.coalesce(column.cast(pa.string()), own).dictionary_encode()


def _compact(column: pa.DictionaryArray) -> pa.DictionaryArray:
    used = np.unique(column.indices.to_numpy(zero_copy_only=False))
    return column if len(used) == len(column.dictionary) else column.cast(pa.string()).dictionary_encode()

"""What is asked of classified photos: one question an image, its class the truth, its class and factors the slices.

Factors that are numbers fall into quarters, cut where the train split has its quarters, so that a quarter is the same
on every split; factors in words are slices as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core import manifest
from components.core.manifest import Split
from components.core.samples import one_an_image

_QUARTILES = (0.25, 0.5, 0.75)
_QUARTERS = np.array(["lowest quarter", "second quarter", "third quarter", "highest quarter"])
Edges = Mapping[str, npt.NDArray[np.float64]]


def ask_classes(photos: Mapping[Split, Path]) -> dict[Split, pa.Table]:
    """The questions of each split, given the manifests of all of them by split; `train` must be among these."""
    edges = factor_edges(photos["train"])
    return {split: with_slices(one_an_image(folder), edges) for split, folder in photos.items()}


def factor_edges(folder: Path) -> Edges:
    """The quartiles of every factor of a manifest that is a number, by column; none where it has no such factor."""
    data = manifest.dataset(folder)
    names = [field.name for field in data.schema if field.name.startswith("f_") and pa.types.is_floating(field.type)]
    table = data.to_table(columns=names)
    columns = {name: table[name].to_numpy() for name in names if table[name].null_count < len(table)}
    return {name: np.nanquantile(values, _QUARTILES) for name, values in columns.items()}


def with_slices(asked: pa.Table, edges: Edges) -> pa.Table:
    """Questions with their truth as `s_class` and their factors as further slices, all of them text."""
    slices: dict[str, pa.Array | pa.ChunkedArray] = {"s_class": asked["truth"]}
    for name in asked.column_names:
        if not name.startswith("f_"):
            continue
        column = asked[name]
        if pa.types.is_floating(column.type) and column.null_count < len(column):
            slices["s_" + name[2:]] = _quarters(column.to_numpy(zero_copy_only=False), edges.get(name))
        elif pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
            slices["s_" + name[2:]] = column.cast(pa.string())
    for name, values in slices.items():
        asked = asked.append_column(name, values)
    return asked


def _quarters(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64] | None) -> pa.Array:
    edges = np.nanquantile(values, _QUARTILES) if edges is None else edges
    return pa.array(_QUARTERS[np.searchsorted(edges, values)], mask=np.isnan(values))

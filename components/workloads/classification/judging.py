"""Turns a classifier's predictions into evidence: verdict tables for the gate."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components.core import manifest, verdicts
from components.core.digests import digest_json
from components.core.errors import DataError
from components.core.samples import SampleSet

if TYPE_CHECKING:
    from components.datasets.pixels import PixelStore
    from components.models.artefacts import LoadedModel

_QUARTILES = (0.25, 0.5, 0.75)
Edges = Mapping[str, npt.NDArray[np.float64]]


def judge_model(model: LoadedModel, folder: Path, *, cache: Path, edges: Edges | None = None) -> pa.Table:
    """The verdicts of a model on the labelled manifest at `folder`, with its class and factors as slices.

    The score is the probability of the predicted class. Factors that are numbers fall into quarters, cut at `edges`
    (by column, see `factor_edges`) so that a quarter is the same on every split; without, at the manifest's own.
    DataError when the model gives NaN.
    """
    from components.datasets.pixels import PixelStore
    from components.models.prediction import predict

    store = PixelStore.open(folder, size_px=model.spec.size_px, cache=cache)
    probabilities = predict(model, store.pixels)
    if np.isnan(probabilities).any():
        raise DataError(f"model {model.digest[:12]} gives NaN; train it again with a lower learning rate")
    guesses = probabilities.argmax(axis=1)
    predictions = [model.spec.classes[guess] for guess in guesses]
    right = [int(guess == label) for guess, label in zip(predictions, store.labels, strict=True)]
    columns = {
        "sample_id": pa.array(store.sample_ids, pa.string()),
        "verdict": pa.array(right, pa.int8()),
        "score": pa.array(probabilities.max(axis=1, initial=0.0), pa.float32()),
        "prediction": pa.array(predictions, pa.string()),
        "label": pa.array(store.labels, pa.string()),
        "group": store.table["group"].combine_chunks(),
    }
    slices = _slices(store, edges or {})
    table = verdicts.check(pa.table({**columns, **slices}), name=f"of model {model.digest[:12]}")
    asked = sorted(zip(store.sample_ids, store.labels, strict=True))
    return verdicts.stamp(table, model=model.digest, dataset=digest_json([list(pair) for pair in asked]))


def judge(artefact: Path, samples: SampleSet, *, cache: Path) -> pa.Table:
    """What a classifier says of one image a question; the score is the probability of the class that it names.

    DataError when the model gives NaN.
    """
    from components.datasets.pixels import PixelStore
    from components.models.artefacts import load_model
    from components.models.prediction import predict

    model = load_model(artefact)
    store = PixelStore.open(samples.images, size_px=model.spec.size_px, cache=cache)
    probabilities = predict(model, store.pixels)
    if np.isnan(probabilities).any():
        raise DataError(f"model {model.digest[:12]} gives NaN; train it again with a lower learning rate")
    asked = samples.table(["sample_id", "images", "truth"])
    place = {name: index for index, name in enumerate(store.sample_ids)}
    rows = np.array([place[images[0]] for images in asked["images"].to_pylist()], dtype=np.int64)
    chosen = probabilities[rows]
    guesses = [model.spec.classes[guess] for guess in chosen.argmax(axis=1)]
    right = [int(guess == truth) for guess, truth in zip(guesses, asked["truth"].to_pylist(), strict=True)]
    return pa.table(
        {
            "sample_id": asked["sample_id"],
            "verdict": pa.array(right, pa.int8()),
            "score": pa.array(chosen.max(axis=1, initial=0.0), pa.float32()),
            "prediction": pa.array(guesses, pa.string()),
        }
    )


def factor_edges(folder: Path) -> Edges:
    """The quartiles of every factor of a manifest that is a number, by column; none where it has no such factor."""
    data = manifest.dataset(folder)
    names = [field.name for field in data.schema if field.name.startswith("f_") and pa.types.is_floating(field.type)]
    table = data.to_table(columns=names)
    columns = {name: table[name].to_numpy() for name in names if table[name].null_count < len(table)}
    return {name: np.nanquantile(values, _QUARTILES) for name, values in columns.items()}


def _slices(store: PixelStore, edges: Edges) -> dict[str, pa.Array]:
    """The class and the declared factors as text; numbers fall into quarters of their range."""
    slices = {"s_class": pa.array(store.labels, pa.string())}
    for name in store.table.column_names:
        if not name.startswith("f_"):
            continue
        column = store.table[name]
        if pa.types.is_floating(column.type) and column.null_count < len(column):
            slices["s_" + name[2:]] = _quarters(column.to_numpy(zero_copy_only=False), edges.get(name))
        elif pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
            slices["s_" + name[2:]] = column.cast(pa.string()).combine_chunks()
    return slices


def _quarters(values: npt.NDArray[np.float64], edges: npt.NDArray[np.float64] | None) -> pa.Array:
    edges = np.nanquantile(values, _QUARTILES) if edges is None else edges
    names = np.array(["lowest quarter", "second quarter", "third quarter", "highest quarter"])
    return pa.array(names[np.searchsorted(edges, values)], mask=np.isnan(values))

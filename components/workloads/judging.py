"""Turns a classifier's predictions into evidence: verdict tables for the gate, a reference for the Bento."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from components.core import manifest, verdicts
from components.core.digests import digest_json
from components.core.errors import DataError
from components.datasets.pixels import PixelStore
from components.models.artefacts import LoadedModel, load_model
from components.models.prediction import predict
from components.packaging.parity import Reference


def judge(model: LoadedModel, folder: Path, *, cache: Path) -> pa.Table:
    """The verdicts of a model on the labelled manifest at `folder`, with its class and factors as slices.

    The score is the probability of the predicted class. DataError when the model gives NaN.
    """
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
    }
    table = verdicts.check(pa.table({**columns, **_slices(store)}), name=f"of model {model.digest[:12]}")
    return verdicts.stamp(table, model=model.digest, dataset=digest_json(sorted(store.sample_ids)))


def _slices(store: PixelStore) -> dict[str, pa.Array]:
    """The class and the declared factors as text; numbers fall into quarters of their range."""
    slices = {"s_class": pa.array(store.labels, pa.string())}
    for name in store.table.column_names:
        if not name.startswith("f_"):
            continue
        column = store.table[name]
        if pa.types.is_floating(column.type) and column.null_count < len(column):
            slices["s_" + name[2:]] = _quarters(column.to_numpy(zero_copy_only=False))
        elif pa.types.is_string(column.type) or pa.types.is_boolean(column.type):
            slices["s_" + name[2:]] = column.cast(pa.string()).combine_chunks()
    return slices


def _quarters(values: np.ndarray) -> pa.Array:
    edges = np.nanquantile(values, [0.25, 0.5, 0.75])
    names = np.array(["lowest quarter", "second quarter", "third quarter", "highest quarter"])
    return pa.array(names[np.searchsorted(edges, values)], mask=np.isnan(values))


def parity_reference(model_folder: Path, folder: Path, *, num_samples: int, cache: Path) -> Reference:
    """Encoded images of a manifest, spread over it, with the probabilities that the evaluation gives them."""
    model = load_model(model_folder)
    store = PixelStore.open(folder, size_px=model.spec.size_px, cache=cache)
    chosen = np.unique(np.linspace(0, len(store) - 1, min(num_samples, len(store))).round().astype(int))
    images = manifest.dataset(folder).take(chosen.tolist(), columns=["image"]).column("image")
    return Reference(
        sample_ids=tuple(store.sample_ids[index] for index in chosen),
        images=tuple(image["bytes"] for image in images.to_pylist()),
        probabilities=predict(model, store.pixels)[chosen],
        classes=model.spec.classes,
        model_digest=model.digest,
    )

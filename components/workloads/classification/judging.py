"""Turns a classifier's predictions into evidence: verdicts for the gate, a reference for the Bento."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from components.core import manifest
from components.core.errors import DataError
from components.core.samples import SampleSet

if TYPE_CHECKING:
    from components.packaging.parity import Reference


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


def parity_reference(model_folder: Path, folder: Path, *, num_samples: int, cache: Path) -> Reference:
    """Encoded images of a manifest, spread over it, with the probabilities that the evaluation gives them."""
    from components.datasets.pixels import PixelStore
    from components.models.artefacts import load_model
    from components.models.prediction import predict
    from components.packaging.parity import Reference

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

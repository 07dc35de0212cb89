"""Turns a classifier's predictions into evidence: verdicts for the gate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from components.core.errors import DataError
from components.core.samples import SampleSet


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

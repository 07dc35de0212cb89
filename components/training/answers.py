"""Which labelled images a model has right, read at the side that it reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.datasets.decoding import fit
from components.models.artefacts import LoadedModel
from components.models.classes import match_classes
from components.models.prediction import predict_logits
from components.training.batches import LabelledPixels


def right_answers(model: LoadedModel, images: LabelledPixels, classes: tuple[str, ...]) -> NDArray[np.bool_]:
    """Which images [N], labelled by position in `classes`, a model of any classes has right, at the side it reads."""
    pixels = resized_pixels(images.pixels, model.spec.size_px)
    guesses = predict_logits(model.network, model.spec, pixels).argmax(axis=1)
    onto = np.asarray(match_classes(model.spec.classes, classes).new_of_old, np.int64)
    return np.asarray(onto[guesses] == images.labels, bool)


def resized_pixels(pixels: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Images uint8 [N, S, S, 3] at another side, resized as decoding does it."""
    if pixels.shape[1] == size_px:
        return pixels
    made = np.empty((len(pixels), size_px, size_px, 3), np.uint8)
    for index, image in enumerate(pixels):
        made[index] = fit(np.asarray(image), size_px)
    return made

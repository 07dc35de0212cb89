"""The artefact: a matrix that embeds a photo, and the cosine from which on two photos are of one person."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from components.core.files import read_json
from components.datasets.decoding import decode_fit


def load(artefact: Path) -> tuple[np.ndarray, float]:
    """The matrix [256, width] and the threshold in an artefact's folder."""
    return load_file(artefact / "embedding.safetensors")["matrix"], read_json(artefact / "threshold.json")["threshold"]


def score(matrix: np.ndarray, pairs: Sequence[Sequence[bytes]]) -> np.ndarray:
    """The cosine of each pair of encoded photos: [N]."""
    left, right = ((see(photos) @ matrix).astype(np.float64) for photos in zip(*pairs, strict=True))
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / np.maximum(lengths, 1e-9)


def see(photos: Sequence[bytes]) -> np.ndarray:
    """Encoded photos as 16 px of grey each, without their mean: [N, 256]."""
    grey = [decode_fit(photo, 16, name="photo").mean(axis=2, dtype=np.float32).ravel() for photo in photos]
    return np.stack([row - row.mean() for row in grey]) / 64

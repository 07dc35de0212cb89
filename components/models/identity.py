"""A model's files and the digest that names it; needs no torch, so that asking which model this is is quick."""

from __future__ import annotations

from pathlib import Path

from components.core.digests import digest_file, digest_json
from components.core.errors import DataError

WEIGHTS = "model.safetensors"
CARD = "model.json"


def model_digest(folder: Path) -> str:
    """The digest of a model's weights file and card; DataError when one of them is missing."""
    for name in (WEIGHTS, CARD):
        if not (folder / name).is_file():
            raise DataError(f"no model at {folder}: {name} is missing; run the training stage")
    return digest_json([digest_file(folder / WEIGHTS), digest_file(folder / CARD)])

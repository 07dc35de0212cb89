"""What every finished image's row says, whichever generator made it, and the random numbers that are its own."""

from __future__ import annotations

import numpy as np

from components.core.digests import sample_id
from components.synthesis.picture.encoding import encode_mask
from components.synthesis.picture.pictures import Pixels, bounding_box
from components.synthesis.runs.work import Row


def row_rng(seed: int, *place: int) -> np.random.Generator:
    """The random numbers of one row: a function of the seed and its place (shard, index, ...) alone."""
    return np.random.default_rng(np.random.SeedSequence([seed, *place]))


def image_columns(encoded: bytes, mask: Pixels) -> Row:
    """The columns that follow from the encoded image and its mask (S, S) uint8 alone."""
    height, width = mask.shape
    return {
        "sample_id": sample_id(encoded),
        "image": {"bytes": encoded, "path": None},
        "split": "train",
        "width_px": width,
        "height_px": height,
        "mask": encode_mask(mask),
        "box": bounding_box(mask),
    }


def joined_licences(*licences: str | None) -> str | None:
    """The licences of all that an image shows, each once."""
    return "; ".join(dict.fromkeys(filter(None, licences))) or None


def place_recipe(generator: str, version: int, *, seed: int, recipe: str, place: tuple[int, int]) -> str:
    """A row's recipe: whose image it is, the full recipe's digest, and its place (shard, index) in the run.

    Written as `json.dumps` with sorted keys does, in a tenth of its time.
    """
    shard, index = place
    return (
        f'{{"generator": "{generator}", "index": {index}, "recipe": "{recipe}", '
        f'"seed": {seed}, "shard": {shard}, "version": {version}}}'
    )

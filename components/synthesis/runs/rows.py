"""What every finished image's row says, whichever generator made it, and the random numbers that are its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


def objects_column(objects: Iterable[tuple[str, Pixels]]) -> list[Row]:
    """The column `objects` of things by label, each with its own mask (S, S) uint8.

    Those of which no pixel is at least half covered are left out.
    """
    boxed = ((label, mask, bounding_box(mask)) for label, mask in objects)
    return [{"mask": encode_mask(mask), "box": box, "label": label} for label, mask, box in boxed if any(box)]


def joined_licences(*licences: str | None) -> str | None:
    """The licences of all that an image shows, each once."""
    return "; ".join(dict.fromkeys(filter(None, licences))) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Whose rows these are: generator, version, seed, and the digest of the full recipe."""

    generator: str
    version: int
    seed: int
    recipe: str

    def at(self, shard: int, index: int) -> str:
        """A row's recipe: the stamp and its place in the run.

        Written as `json.dumps` with sorted keys does, in a tenth of its time.
        """
        return (
            f'{{"generator": "{self.generator}", "index": {index}, "recipe": "{self.recipe}", '
            f'"seed": {self.seed}, "shard": {shard}, "version": {self.version}}}'
        )

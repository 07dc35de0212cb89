"""Keeps which of the things on a canvas each pixel shows, so that every product in a scene has a mask of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.synthesis.picture.pictures import Pixels

Numbers = NDArray[np.int16]
_LEAST_SHARE, _LEAST_PX = 1 / 1000, 12  # of the frame: what shows less of itself is no object that anybody could find


@dataclass(slots=True)
class Owners:
    """For each pixel the number of the topmost thing that covers at least half of it: `labels[number - 1]`, or 0.

    What is no product (a hand, a shelf's edge) covers without a number.
    """

    numbers: Numbers
    labels: list[str]

    @classmethod
    def of_nothing(cls, size_px: int) -> Owners:
        """An empty square frame."""
        return cls(numbers=np.zeros((size_px, size_px), np.int16), labels=[])

    def cover(self, part: tuple[slice, slice], left: Pixels, label: str | None) -> None:
        """Lay a thing over a part of the frame, of which it leaves `left` (0 to 255) to be seen, in place."""
        if label is not None:
            self.labels.append(label)
        self.numbers[part][left < 128] = len(self.labels) if label is not None else 0

    def objects(self) -> Iterator[tuple[str, Pixels]]:
        """Label and mask (S, S) uint8, 0 or 255, of each thing of which enough shows, the lowest first."""
        areas = np.bincount(self.numbers.reshape(-1), minlength=len(self.labels) + 1)
        for number, label in enumerate(self.labels, start=1):
            if areas[number] >= max(_LEAST_SHARE * self.numbers.size, _LEAST_PX):
                yield label, np.where(self.numbers == number, 255, 0).astype(np.uint8)

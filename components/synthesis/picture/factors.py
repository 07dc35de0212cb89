"""Draws the factors of one image and remembers each as a manifest column, within the ranges that an aim gives.

A factor is anything that varies between images and has a name: azimuth, light, scale, pile size. Generators draw
all of them here, so that every one becomes an `f_*` column, can slice the gate, and can be aimed at.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Mapping, Sequence
from typing import TypeVar

import numpy as np

Range = tuple[float, float]
Word = TypeVar("Word", bound=str)


class FactorDraw:
    """One image's factors; by name without the `f_`, `aimed` narrows the range of a number, `words` the options."""

    def __init__(
        self,
        rng: np.random.Generator,
        aimed: Mapping[str, Range] | None = None,
        words: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self.rng = rng
        self._aimed = dict(aimed or {})
        self._words = dict(words or {})
        self.columns: dict[str, float | int | str] = {}

    def uniform(self, name: str, low: float, high: float) -> float:
        """A number between the bounds, or within the part of an aimed range that lies between them."""
        start, stop = self._narrowed(name, low, high)
        value = start + (stop - start) * float(self.rng.random())
        self.columns[f"f_{name}"] = value
        return value

    def log_uniform(self, name: str, low: float, high: float) -> float:
        """A positive number whose logarithm is uniform between the bounds."""
        start, stop = self._narrowed(name, low, high)
        value = start * math.exp(float(self.rng.random()) * math.log(stop / start))
        self.columns[f"f_{name}"] = value
        return value

    def count(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        start, stop = self._narrowed(name, low, high)
        first, last = math.ceil(start), math.floor(stop)
        value = int(self.rng.integers(first, max(first, last) + 1))
        self.columns[f"f_{name}"] = value
        return value

    def choice(self, name: str, options: Sequence[Word], shares: Sequence[float] | None = None) -> Word:
        """One of the options, by their shares, or of those that are aimed at where any of them has a share.

        The shares need not add up to one; the first option where all are nought.
        """
        pairs = list(zip(options, [1.0] * len(options) if shares is None else shares, strict=True))
        if name in self._words:
            pairs = [pair for pair in pairs if pair[1] > 0 and self.allows(name, pair[0])] or pairs
        steps = list(itertools.accumulate(share for _, share in pairs))
        place = float(self.rng.random()) * steps[-1]
        value = next((pair[0] for pair, step in zip(pairs, steps, strict=True) if place < step), pairs[0][0])
        self.columns[f"f_{name}"] = value
        return value

    def allows(self, name: str, word: str) -> bool:
        """Whether nothing speaks against this word: the factor is not aimed at, or the word is among those meant."""
        return name not in self._words or word in self._words[name]

    def meant(self, name: str, options: Sequence[str], shares: Sequence[float]) -> tuple[float, ...]:
        """The shares with those of words not meant set to nought; as they are where nothing would be left."""
        left = tuple(share * self.allows(name, word) for word, share in zip(options, shares, strict=True))
        return left if sum(left) > 0 else tuple(shares)

    def note(self, name: str, value: float | int | str) -> None:
        """Remember a factor that follows from others, such as the visible share."""
        self.columns[f"f_{name}"] = value

    def _narrowed(self, name: str, low: float, high: float) -> Range:
        if name not in self._aimed:
            return low, high
        start, stop = (min(max(float(bound), low), high) for bound in self._aimed[name])
        return start, max(start, stop)

"""Chooses proportions and finishes for one variant of a product, in the taste of the shop or of its customers.

The shop's catalogue keeps to a few restrained finishes and middling proportions; customers own older and
wilder variants. That difference is half of the gap between catalogue and photos.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from components.synthesis.builtin.parts import Finish

Taste = Literal["shop", "customer"]
Material = Literal["wood", "fabric", "metal", "ceramic", "paint", "glass"]

# (hue, saturation, value) anchors and the roughness of each material
_ANCHORS: dict[Material, tuple[float, list[tuple[float, float, float]]]] = {
    "wood": (0.55, [(0.08, 0.45, 0.78), (0.07, 0.60, 0.50), (0.09, 0.30, 0.88), (0.06, 0.55, 0.34)]),
    "fabric": (0.95, [(0.60, 0.25, 0.45), (0.10, 0.15, 0.80), (0.58, 0.06, 0.55), (0.40, 0.25, 0.45)]),
    "metal": (0.25, [(0.60, 0.03, 0.30), (0.60, 0.03, 0.70), (0.12, 0.45, 0.75), (0.0, 0.0, 0.92)]),
    "ceramic": (0.20, [(0.10, 0.05, 0.92), (0.57, 0.35, 0.65), (0.04, 0.50, 0.70), (0.35, 0.20, 0.60)]),
    "paint": (0.40, [(0.0, 0.70, 0.75), (0.58, 0.60, 0.65), (0.13, 0.65, 0.90), (0.33, 0.50, 0.60)]),
    "glass": (0.12, [(0.33, 0.60, 0.35), (0.09, 0.75, 0.40), (0.52, 0.20, 0.75), (0.58, 0.55, 0.55)]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Draws numbers and finishes for one variant; `taste` widens both."""

    rng: np.random.Generator
    taste: Taste

    def between(self, low: float, high: float) -> float:
        """A length or share; customers' variants reach 20% beyond the range on either side."""
        middle, half = (low + high) / 2, (high - low) / 2
        reach = half * (1.0 if self.taste == "shop" else 1.2)
        return float(max(self.rng.uniform(middle - reach, middle + reach), low * 0.6))

    def count(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with the given probability."""
        return bool(self.rng.random() < probability)

    def finish(self, material: Material) -> Finish:
        """A finish of the material: near one of its anchors for the shop, anywhere at times for customers."""
        roughness, anchors = _ANCHORS[material]
        hue, saturation, value = anchors[self.rng.integers(len(anchors))]
        jitter = 0.015
        if self.taste == "customer":
            jitter = 0.06
            if self.chance(0.3):
                hue, saturation, value = self.rng.random(), self.rng.uniform(0.1, 0.9), self.rng.uniform(0.2, 0.95)
        hue += self.rng.normal(0, jitter)
        saturation = np.clip(saturation + self.rng.normal(0, jitter * 2), 0, 1)
        value = np.clip(value + self.rng.normal(0, jitter * 2), 0.06, 0.97)
        return Finish(colour=colorsys.hsv_to_rgb(hue % 1.0, float(saturation), float(value)), roughness=roughness)

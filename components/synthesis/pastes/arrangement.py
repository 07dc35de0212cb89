"""Decides where copies of a product stand in the frame: one alone, several in a row, or a heap.

Catalogues show one product, shops show heaps and rows of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from components.synthesis.config import SynthesisConfig

Arrangement = Literal["single", "row", "heap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One copy: centre and longer side in shares of the frame, turn, mirror, corner shifts (4, 2) in shares."""

    centre: tuple[float, float]
    scale: float
    rotation_deg: float
    mirrored: bool
    shifts: NDArray[np.float32]


def arrange(config: SynthesisConfig, aspect: float, rng: np.random.Generator) -> tuple[Arrangement, list[Placement]]:
    """Draw an arrangement, farthest copy first, of a product whose width is `aspect` times its height."""
    draw = rng.random()
    if draw < config.heap_probability:
        return "heap", _heap(config, rng)
    if draw < config.heap_probability + config.row_probability:
        return "row", _row(config, aspect, rng)
    scale, turn = float(rng.uniform(*config.scale)), config.rotation_deg * float(rng.uniform(-1, 1))
    slack = 0.12 + max(0.0, 0.5 - scale / 2)
    centre = 0.5 + slack * float(rng.uniform(-1, 1)), 0.5 + slack * float(rng.uniform(-1, 1))
    return "single", [_placement(config, rng, centre, scale, turn)]


def _row(config: SynthesisConfig, aspect: float, rng: np.random.Generator) -> list[Placement]:
    """Copies side by side, nearly upright, the row running out of the frame."""
    scale = float(rng.uniform(0.5, 1.0)) * max(config.scale)
    pitch = scale * min(aspect, 1.0) * float(rng.uniform(0.95, 1.15))
    base, start, lean = float(rng.uniform(0.4, 0.6)), float(rng.uniform(-0.5, 0.5)), float(rng.normal(0, 4))
    number = min(7, int(1.0 / pitch) + 2)
    xs = [0.5 + pitch * (start + i - (number - 1) / 2) for i in range(number)]
    return [
        _placement(config, rng, (x, base + 0.02 * float(rng.normal())), scale, lean + 2 * float(rng.normal()))
        for x in xs
    ]


def _heap(config: SynthesisConfig, rng: np.random.Generator) -> list[Placement]:
    """Copies on a shaken grid, turned at will, those below on top."""
    columns = int(rng.integers(2, 5))
    pitch = 1.0 / columns
    scale = pitch * float(rng.uniform(1.25, 1.7))
    spin = 180.0 if rng.random() < 0.6 else config.rotation_deg
    places = []
    for row in range(columns + 1):
        for column in range(columns + 1):
            x = (column + 0.5 * (row % 2) + 0.3 * float(rng.uniform(-1, 1))) * pitch
            y = (row + 0.3 * float(rng.uniform(-1, 1))) * pitch
            places.append((x, y))
    return [
        _placement(config, rng, place, scale * float(rng.uniform(0.85, 1.15)), spin * float(rng.uniform(-1, 1)))
        for place in places
    ]


def _placement(
    config: SynthesisConfig, rng: np.random.Generator, centre: tuple[float, float], scale: float, turn: float
) -> Placement:
    shifts = rng.uniform(-1, 1, (4, 2)).astype(np.float32) * np.float32(config.perspective * rng.random())
    mirrored = bool(rng.random() < config.flip_probability)
    return Placement(centre=centre, scale=scale, rotation_deg=turn, mirrored=mirrored, shifts=shifts)

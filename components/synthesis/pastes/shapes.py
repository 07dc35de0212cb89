"""Measures the shape of a cut-out, because boxes stand on shelves, round things lie in heaps, long ones in bundles."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from components.synthesis.picture.pictures import Pixels

_LEAST_FILL = 0.83  # of the smallest enclosing rectangle, for a box
_MOST_LEAN_DEG = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Length by width, the direction of the length (0 to the right, 90 down), and whether it stands like a box."""

    elongation: float = 1.0
    axis_deg: float = 0.0
    is_box: bool = False

    @property
    def is_long(self) -> bool:
        """Whether copies lie side by side rather than at will."""
        return self.elongation > 2.25 and not self.is_box


def measure(alpha: Pixels) -> Shape:
    """The shape of coverage (H, W) uint8: from its moments and its smallest enclosing rectangle."""
    solid = (alpha > 127).astype(np.uint8)
    moments = cv2.moments(solid, binaryImage=True)
    if not moments["m00"]:
        return Shape()
    across, along, both = (moments[name] / moments["m00"] for name in ("mu20", "mu02", "mu11"))
    spread = float(np.hypot(across - along, 2 * both))
    longest, shortest = across + along + spread, across + along - spread
    axis = float(np.degrees(np.arctan2(2 * both, across - along)) / 2) % 180
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    _, (width, height), _ = cv2.minAreaRect(np.concatenate(contours))
    fill = moments["m00"] / max((width + 1) * (height + 1), 1.0)
    elongation = float(np.sqrt(longest / max(shortest, 1e-6)))
    upright = abs(axis - 90) < _MOST_LEAN_DEG and elongation > 1.25
    return Shape(elongation=min(elongation, 20.0), axis_deg=axis, is_box=bool(upright and fill > _LEAST_FILL))

"""Describes images by features in which photos of one scene lie close together, though no hash sees it.

`Appearance` is made by hand, of the 64 px picture: its colours (216 bins), its fine texture (256 local patterns) and
its edges by direction and strength (180 bins), each as the square roots of shares, whitened over the set. It is about
the light, the shelf and the camera, not about what the thing is. On the grocery photos 88% have a neighbour of their
own class above what 8% reach in other classes; of photos from other visits 7% do (`chances` and `leak` in
`tests/benchmarks/certification/scenes.py`).

To add features, write a class with the members of `Features` and name it in FEATURES.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from components.datasets.decoding import Pixels

Floats = npt.NDArray[np.float32]

_NUM_COLOURS, _NUM_PATTERNS, _NUM_DIRECTIONS, _NUM_STRENGTHS = 6, 256, 12, 5
_MAX_DIMENSIONS = 64
_WHITENING = 0.7  # 0 leaves the directions' spread as it is, 1 makes all alike
_NUM_FITTED = 5000


class Features(Protocol):
    """How images are described.

    `chance` is the share of photos that may reach the threshold among photos of other classes, as it was measured to
    tell scenes best with these features. `is_whitened`: the set's main directions are evened out before comparing.
    """

    @property
    def name(self) -> str:
        """What params.yaml calls them."""

    @property
    def size_px(self) -> int:
        """The side of the images that `describe` takes."""

    @property
    def chance(self) -> float:
        """Which share of photos may be as near to a photo of another class."""

    @property
    def is_whitened(self) -> bool:
        """Whether directions in which all photos differ are to count for less."""

    def describe(self, images: Pixels) -> Floats:
        """Features [N, D] of uint8 RGB images [N, size_px, size_px, 3]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appearance:
    """Colours, texture and edges of a picture, without their places."""

    name: str = "appearance"
    size_px: int = 64
    chance: float = 0.08
    is_whitened: bool = True

    def describe(self, images: Pixels) -> Floats:
        """Features [N, 652]."""
        pixels = images.astype(np.float32)
        grey = pixels @ np.array([0.299, 0.587, 0.114], dtype=np.float32)
        edges = [_edges(pixels[..., channel]) for channel in range(3)]
        return np.concatenate([_colours(images), _patterns(grey), *edges], axis=1)


FEATURES: dict[str, Callable[[], Features]] = {"appearance": Appearance}
DEFAULT = "appearance"


def comparable(described: Floats, *, is_whitened: bool) -> Floats:
    """Vectors [N, E] of unit length whose products are the likeness of images; the set's mean is taken out.

    Whitened ones have at most 64 main directions, fitted on at most 5,000 images of the set.
    """
    vectors = described - described.mean(axis=0, keepdims=True) if len(described) else described
    if is_whitened and len(vectors) > 1:
        vectors = vectors @ _whitening(vectors)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > 1e-6), np.float32)


def _whitening(centred: Floats) -> Floats:
    chosen = np.linspace(0, len(centred) - 1, min(_NUM_FITTED, len(centred))).astype(int)
    sample = centred[chosen].astype(np.float64)
    if len(sample) < sample.shape[1]:  # the smaller of the two matrices has the same directions in it
        spread, weights = np.linalg.eigh(sample @ sample.T / len(sample))
        directions = sample.T @ (weights / np.sqrt(np.maximum(spread * len(sample), 1e-12)))
    else:
        spread, directions = np.linalg.eigh(sample.T @ sample / len(sample))
    num = min(_MAX_DIMENSIONS, max(1, len(sample) // 4), directions.shape[1])
    spread, directions = spread[::-1][:num], directions[:, ::-1][:, :num]
    return np.asarray(directions / np.maximum(spread, 1e-12) ** (_WHITENING / 2), np.float32)


def _shares(codes: npt.NDArray[np.int64], num: int) -> Floats:
    """Square roots of the shares of each of `num` codes in each row [N, M], scaled to one spread."""
    rows = codes.reshape(len(codes), -1)
    flat = (rows + num * np.arange(len(rows))[:, None]).ravel()
    counts = np.bincount(flat, minlength=num * len(rows)).reshape(len(rows), num)
    return np.asarray(np.sqrt(counts / rows.shape[1]), np.float32)


def _colours(images: Pixels) -> Floats:
    level = images.astype(np.int64) * _NUM_COLOURS // 256
    return _shares((level[..., 0] * _NUM_COLOURS + level[..., 1]) * _NUM_COLOURS + level[..., 2], _NUM_COLOURS**3)


def _patterns(grey: Floats) -> Floats:
    """Which of a pixel's eight neighbours are brighter than it, as a code of eight bits (Ojala et al. 2002)."""
    side = grey.shape[1] - 2
    middle = grey[:, 1:-1, 1:-1] + 2
    codes = np.zeros(middle.shape, dtype=np.int64)
    ring = [(0, 0), (0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0)]
    for bit, (top, left) in enumerate(ring):
        codes |= (grey[:, top : top + side, left : left + side] > middle).astype(np.int64) << bit
    return _shares(codes, _NUM_PATTERNS)


def _edges(channel: Floats) -> Floats:
    across = channel[:, 1:-1, 2:] - channel[:, 1:-1, :-2]
    down = channel[:, 2:, 1:-1] - channel[:, :-2, 1:-1]
    turn = (np.arctan2(down, across) % (2 * np.pi)) / (2 * np.pi)
    direction = np.minimum((turn * _NUM_DIRECTIONS).astype(np.int64), _NUM_DIRECTIONS - 1)
    strength = np.log2(np.hypot(across, down) / 4 + 1) * 1.3
    step = np.minimum(strength.astype(np.int64), _NUM_STRENGTHS - 1)
    return _shares(direction * _NUM_STRENGTHS + step, _NUM_DIRECTIONS * _NUM_STRENGTHS) / np.float32(np.sqrt(3))

"""Finds near-duplicate images: a 63-bit perceptual hash proposes, a small colour picture confirms.

The hash is the sign, about their median, of the 8x8 lowest cosine frequencies of the grey picture without the
constant one. On 2,640 phone photos of groceries a distance of 14 with a colour correlation of 0.85 finds 117
series of 2 to 6 shots (278 photos). Of its 176 pairs 2 are of different classes; by the hash alone at that
distance it would be 89 of 323. It finds shots of one scene, not all shots of one visit to a shop.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from components.datasets.decoding import Pixels

THUMBNAIL_PX = 32
MAX_DISTANCE = 14
MIN_CORRELATION = 0.85
_BLOCK_PAIRS = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """What images are compared by: `hashes` uint64 [N], `colours` float32 [N, 192] of unit length (0 if flat)."""

    hashes: npt.NDArray[np.uint64]
    colours: npt.NDArray[np.float32]


def describe(thumbnails: Pixels) -> Signatures:
    """The signatures of uint8 RGB thumbnails [N, THUMBNAIL_PX, THUMBNAIL_PX, 3]."""
    from scipy.fft import dctn

    num = len(thumbnails)
    grey = thumbnails.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    low = dctn(grey, axes=(1, 2), norm="ortho")[:, :8, :8].reshape(num, 64)[:, 1:]
    bits = np.pad(low > np.median(low, axis=1, keepdims=True), ((0, 0), (1, 0)))
    hashes = np.packbits(bits, axis=1).view(np.uint64).reshape(num)
    cells = thumbnails.reshape(num, 8, 4, 8, 4, 3).mean(axis=(2, 4)).reshape(num, 192)
    cells -= cells.mean(axis=1, keepdims=True)
    lengths = np.linalg.norm(cells, axis=1, keepdims=True)
    colours = np.divide(cells, lengths, out=np.zeros_like(cells), where=lengths > 1e-6)
    return Signatures(hashes=hashes, colours=colours.astype(np.float32))


def near_pairs(
    signatures: Signatures, *, max_distance: int = MAX_DISTANCE, min_correlation: float = MIN_CORRELATION
) -> npt.NDArray[np.int64]:
    """All pairs (i < j) that are near duplicates, int64 [M, 2], in order; memory stays bounded in N."""
    hashes, num = signatures.hashes, len(signatures.hashes)
    rows = max(1, _BLOCK_PAIRS // max(1, num))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, num, rows):
        block = hashes[start : start + rows]
        distance = np.bitwise_count(block[:, None] ^ hashes[None, start:])
        left, right = np.nonzero(distance <= max_distance)
        left, right = left[left < right] + start, right[left < right] + start
        likeness = np.einsum("ij,ij->i", signatures.colours[left], signatures.colours[right])
        found.append(np.stack([left, right], axis=1)[likeness >= min_correlation])
    return np.concatenate(found)


def cluster(num: int, pairs: Iterable[tuple[int, int]] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The smallest index that each of `num` items is linked to, directly or through others: int64 [num]."""
    root = np.arange(num, dtype=np.int64)

    def find(item: int) -> int:
        while root[item] != item:
            root[item] = root[root[item]]
            item = int(root[item])
        return item

    for left, right in pairs:
        a, b = find(int(left)), find(int(right))
        root[max(a, b)] = min(a, b)
    return np.array([find(item) for item in range(num)], dtype=np.int64)

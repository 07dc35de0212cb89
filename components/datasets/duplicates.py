"""Finds near-duplicate images: a 63-bit perceptual hash proposes, a small colour picture and its edges confirm.

The hash is the sign, about their median, of the 8x8 lowest cosine frequencies of the grey picture without the
constant one. Hash and colours see the layout alone, and where all pictures share one (a thing in the middle of an even
ground) they join a bottle with a lamp. So the edges of the 32 px picture, laid on one another at the best of 25 shifts,
must agree better than those of all but one in a thousand random pairs of the same set: from 0.45 for phone photos of
groceries to 0.85, which is the most that is asked.

Precision and recall on five changes each of 400 photos, by `python -m tests.benchmarks.certification.duplicates`:
groceries 1.000 and 0.984 (at 64 px as well), clothing 1.000 and 0.939, hands at 100 px 0.970 and 0.977, CIFAR-10 at
32 px 0.998 and 0.987, the demo's photos 0.995 and 0.990. The demo's catalogue of renders on an even ground stays the
hard case, 0.518 and 0.877; of the pairs there 0.965 are at least of one class. By hash and colours alone it was 0.946
for clothing, 0.346 for hands and 0.226 for the renders (0.644 of one class). On the 2,640 photos of groceries 114
series of 2 to 6 shots (271 photos) are found; of their 172 pairs 1 is of different classes. It finds shots of one
scene, not all shots of one visit to a shop: see components/datasets/features.py for these.
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
EDGES_AT_LEAST, EDGES_AT_MOST = 0.45, 0.85  # the range of what chance may set
_REACH = 1.3  # times as far above the median as the 99th percentile: about one random pair in a thousand
_NUM_RANDOM = 5_000
_SHIFT_PX = 2
_BLOCK_PAIRS = 8_000_000
_BLOCK_EDGES = 2_000

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signatures:
    """What images are compared by.

    `hashes` uint64 [N], `colours` float32 [N, 192] of unit length (0 if flat), `greys` uint8 [N, 32, 32].
    """

    hashes: npt.NDArray[np.uint64]
    colours: Floats
    greys: npt.NDArray[np.uint8]


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
    return Signatures(hashes=hashes, colours=colours.astype(np.float32), greys=np.rint(grey).astype(np.uint8))


def near_pairs(
    signatures: Signatures, *, max_distance: int = MAX_DISTANCE, min_correlation: float = MIN_CORRELATION
) -> npt.NDArray[np.int64]:
    """All pairs (i < j) that are near duplicates, int64 [M, 2], in order; memory stays bounded in N."""
    hashes, num = signatures.hashes, len(signatures.hashes)
    rows = max(1, _BLOCK_PAIRS // max(1, num))
    needed = edges_by_chance(signatures)
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, num, rows):
        block = hashes[start : start + rows]
        distance = np.bitwise_count(block[:, None] ^ hashes[None, start:])
        left, right = np.nonzero(distance <= max_distance)
        left, right = left[left < right] + start, right[left < right] + start
        likeness = np.einsum("ij,ij->i", signatures.colours[left], signatures.colours[right])
        pairs = np.stack([left, right], axis=1)[likeness >= min_correlation]
        found.append(pairs[edge_agreement(signatures.greys, pairs) >= needed])
    return np.concatenate(found)


def edges_by_chance(signatures: Signatures) -> float:
    """How well the edges of two images of this set must agree, so that about one random pair in a thousand does.

    It is read off the 99th percentile, which the near duplicates themselves do not reach while under 1% of all pairs.
    """
    num = len(signatures.greys)
    if num < 2:
        return EDGES_AT_MOST
    random = np.random.default_rng(0).integers(0, num, (_NUM_RANDOM, 2))
    agreement = edge_agreement(signatures.greys, random[random[:, 0] != random[:, 1]])
    middle, high = np.quantile(agreement, (0.5, 0.99))
    return float(np.clip(middle + _REACH * (high - middle), EDGES_AT_LEAST, EDGES_AT_MOST))


def edge_agreement(greys: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> Floats:
    """The correlation of both images' gradients at the best shift of up to 2 pixels each way, float32 [M]."""
    blocks = [pairs[start : start + _BLOCK_EDGES] for start in range(0, len(pairs), _BLOCK_EDGES)]
    return np.concatenate([np.zeros(0, np.float32), *(_best_agreement(greys, block) for block in blocks)])


def _best_agreement(greys: npt.NDArray[np.uint8], pairs: npt.NDArray[np.int64]) -> Floats:
    left, right = _edges(greys[pairs[:, 0]]), _edges(greys[pairs[:, 1]])
    inner = left.shape[-1] - 2 * _SHIFT_PX
    middle = np.ascontiguousarray(left[:, :, _SHIFT_PX:-_SHIFT_PX, _SHIFT_PX:-_SHIFT_PX])
    energy = np.einsum("ncij,ncij->n", middle, middle)
    best = np.full(len(pairs), -1.0, dtype=np.float32)
    for top in range(2 * _SHIFT_PX + 1):
        for start in range(2 * _SHIFT_PX + 1):
            other = right[:, :, top : top + inner, start : start + inner]
            product = np.einsum("ncij,ncij->n", middle, other)
            scale = np.sqrt(energy * np.einsum("ncij,ncij->n", other, other)) + 1e-3
            np.maximum(best, product / scale, out=best)
    return best


def _edges(greys: npt.NDArray[np.uint8]) -> Floats:
    """The gradients of slightly blurred pictures, float32 [N, 2, 30, 30]: noise has none to agree on."""
    padded = np.pad(greys.astype(np.float32), ((0, 0), (1, 1), (1, 1)), mode="edge")
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    soft = (rows[:, :, :-2] + 2 * rows[:, :, 1:-1] + rows[:, :, 2:]) / 16
    across = soft[:, 1:-1, 2:] - soft[:, 1:-1, :-2]
    down = soft[:, 2:, 1:-1] - soft[:, :-2, 1:-1]
    return np.stack([across, down], axis=1)


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

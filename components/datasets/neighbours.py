"""Finds neighbours among unit vectors in blocks, so that memory stays bounded in their number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from components.datasets.features import Floats

Indices = npt.NDArray[np.int64]
NUM_EACH = 20
_BLOCK_PAIRS = 8_000_000


def nearest(queries: Floats, keys: Floats, *, not_in: tuple[Indices, Indices] | None = None) -> tuple[Indices, Floats]:
    """The nearest key of each query and their cosine, int64 and float32 [N]; (-1, -1) where there is none.

    `not_in` gives queries and keys a number each; a key with the query's own number does not count.
    """
    place, cosine = np.full(len(queries), -1, dtype=np.int64), np.full(len(queries), -1.0, dtype=np.float32)
    if not len(keys):
        return place, cosine
    rows = max(1, _BLOCK_PAIRS // len(keys))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        likeness = queries[block] @ keys.T
        if not_in is not None:
            likeness[not_in[0][block, None] == not_in[1][None, :]] = -1.0
        place[block] = likeness.argmax(axis=1)
        cosine[block] = likeness.max(axis=1)
    place[cosine <= -1.0] = -1
    return place, cosine


def alike_pairs(vectors: Floats, *, at_least: float, num_each: int = NUM_EACH) -> tuple[Indices, Floats]:
    """The pairs (i < j) whose cosine is at least so, int64 [M, 2], and their cosines; the most alike first.

    Of each vector its `num_each` nearest at most, so M stays bounded in N; chains still join what is close together.
    """
    rows = max(1, _BLOCK_PAIRS // max(1, len(vectors)))
    found = [np.zeros((0, 2), dtype=np.int64)]
    for start in range(0, len(vectors), rows):
        likeness = vectors[start : start + rows] @ vectors.T
        likeness[np.arange(len(likeness)), np.arange(start, start + len(likeness))] = -1.0
        near = np.argpartition(likeness, -min(num_each, len(vectors)), axis=1)[:, -num_each:]
        row, column = np.nonzero(np.take_along_axis(likeness, near, axis=1) >= at_least)
        found.append(np.sort(np.stack([row + start, near[row, column]], axis=1), axis=1))
    pairs = np.unique(np.concatenate(found), axis=0)
    cosines = np.einsum("ij,ij->i", vectors[pairs[:, 0]], vectors[pairs[:, 1]])
    order = np.argsort(-cosines, kind="stable")
    return pairs[order], cosines[order]

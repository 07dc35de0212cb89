"""Finds neighbours among unit vectors in blocks, so that memory stays bounded in their number."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from components.datasets.features import Floats

Indices = npt.NDArray[np.int64]
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


def alike_pairs(vectors: Floats, *, at_least: float) -> tuple[Indices, Floats]:
    """The pairs (i < j) whose cosine is at least so, int64 [M, 2], and their cosines; the most alike first."""
    rows = max(1, _BLOCK_PAIRS // max(1, len(vectors)))
    pairs, cosines = [np.zeros((0, 2), dtype=np.int64)], [np.zeros(0, dtype=np.float32)]
    for start in range(0, len(vectors), rows):
        likeness = vectors[start : start + rows] @ vectors[start:].T
        left, right = np.nonzero(np.triu(likeness >= at_least, 1))
        pairs.append(np.stack([left, right], axis=1) + start)
        cosines.append(likeness[left, right])
    order = np.argsort(-np.concatenate(cosines), kind="stable")
    return np.concatenate(pairs)[order], np.concatenate(cosines)[order]

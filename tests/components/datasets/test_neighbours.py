"""Neighbours found in blocks are those of the whole matrix."""

from __future__ import annotations

import numpy as np
import pytest

from components.datasets import neighbours
from components.datasets.features import Floats
from components.datasets.neighbours import alike_pairs, nearest


@pytest.fixture
def vectors() -> Floats:
    made = np.random.default_rng(0).normal(size=(60, 5)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


@pytest.mark.parametrize("block", [8_000_000, 130])
def test_nearest_leaves_out_a_querys_own_number(vectors: Floats, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK_PAIRS", block)
    number = np.arange(60) % 4
    place, cosine = nearest(vectors, vectors, not_in=(number, number))
    whole = np.where(number[:, None] == number[None], -2, vectors @ vectors.T)
    assert (place == whole.argmax(axis=1)).all() and np.allclose(cosine, whole.max(axis=1), atol=1e-6)
    nobody, none = nearest(vectors, vectors, not_in=(np.zeros(60, int), np.zeros(60, int)))
    assert (nobody == -1).all() and (none == -1).all()


@pytest.mark.parametrize("block", [8_000_000, 130])
def test_alike_pairs_are_all_above_the_threshold(vectors: Floats, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK_PAIRS", block)
    pairs, cosines = alike_pairs(vectors, at_least=0.7)
    wanted = set(zip(*np.nonzero(np.triu(vectors @ vectors.T >= 0.7, 1)), strict=True))
    assert len(wanted) > 20 and {tuple(pair) for pair in pairs.tolist()} == wanted
    assert (np.diff(cosines) <= 0).all()


def test_many_alike_give_few_pairs_that_still_hang_together() -> None:
    same = np.tile(np.array([[1.0, 0.0]], dtype=np.float32), (200, 1))
    pairs, _ = alike_pairs(same, at_least=0.9, num_each=20)
    assert 0 < len(pairs) <= 200 * 20

"""Features tell scenes: shots of one lie close together, things of one kind in other scenes do not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from components.datasets.features import FEATURES, Appearance, Features, comparable

NUM_SCENES, NUM_SHOTS = 12, 6


def shots(seed: int) -> npt.NDArray[np.uint8]:
    """Shots of one scene: its colours and its grain stay, what stands where does not."""
    rng = np.random.default_rng(seed)
    palette, grain = rng.integers(0, 256, (4, 3)), int(rng.integers(2, 12))
    made = []
    for _ in range(NUM_SHOTS):
        cells = rng.integers(0, 4, (-(-64 // grain), -(-64 // grain)))
        picture = palette[np.kron(cells, np.ones((grain, grain), dtype=int))[:64, :64]]
        made.append(np.clip(picture + rng.normal(0, 5, picture.shape), 0, 255))
    return np.stack(made).astype(np.uint8)


def test_shots_of_a_scene_are_nearest_to_one_another() -> None:
    pictures = np.concatenate([shots(seed) for seed in range(NUM_SCENES)])
    vectors = comparable(Appearance().describe(pictures), is_whitened=True)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, -1)
    scene = np.arange(len(pictures)) // NUM_SHOTS
    assert (scene[likeness.argmax(axis=1)] == scene).mean() > 0.95
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("name", FEATURES)
def test_features_describe_each_image_by_itself(name: str) -> None:
    features: Features = FEATURES[name]()
    pictures = np.concatenate([shots(seed) for seed in range(3)])
    whole = features.describe(pictures)
    assert whole.dtype == np.float32 and features.name == name and 0 < features.chance < 1
    assert np.array_equal(whole[5:6], features.describe(pictures[5:6]))


def test_whitening_keeps_a_common_direction_from_deciding() -> None:
    rng = np.random.default_rng(0)
    scene = np.repeat(np.eye(8), 8, axis=0)
    light = 40 * rng.normal(size=(64, 1))
    described = np.concatenate([scene + 0.05 * rng.normal(size=(64, 8)), light], axis=1).astype(np.float32)

    def share_right(is_whitened: bool) -> float:
        vectors = comparable(described, is_whitened=is_whitened)
        likeness = vectors @ vectors.T
        np.fill_diagonal(likeness, -2)
        return float((likeness.argmax(axis=1) // 8 == np.arange(64) // 8).mean())

    assert share_right(True) > share_right(False)


def test_nothing_and_one_image_are_no_trouble() -> None:
    empty = np.zeros((0, 5), dtype=np.float32)
    assert comparable(empty, is_whitened=True).shape == (0, 5)
    flat = comparable(Appearance().describe(np.zeros((4, 64, 64, 3), dtype=np.uint8)), is_whitened=True)
    assert np.array_equal(flat, np.zeros_like(flat))

"""What is let through of a new part keeps to its flip target, and every outcome of a merge is counted right."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models.artefacts import ModelSpec
from components.models.networks.growth import Grown
from components.models.networks.merging import Merged, pool
from components.models.networks.registry import build_network
from components.models.prediction import predict_logits
from components.training.batches import LabelledPixels
from components.training.switching import (
    let_new_part_through,
    most_accurate,
    switch_points,
    tune_merging,
    tune_threshold,
)

SMALL = {"family": "convnet", "num_classes": 2, "widths": [4], "blocks": [1], "stem_stride": 2}
LARGE = {"family": "grown", "inner": SMALL, "outer": SMALL}
SPEC = ModelSpec(architecture=LARGE, classes=("a", "b"), size_px=8)


def merged() -> Merged:
    network = Merged(build_network(SMALL), build_network(SMALL))
    for part in (network.inner, network.outer):
        torch.nn.init.normal_(part.head.weight, std=3.0)  # type: ignore[union-attr,arg-type]
    return network.eval()


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), target=st.floats(0.01, 0.5))
def test_tuned_threshold_is_the_best_within_its_target(seed: int, target: float) -> None:
    torch.manual_seed(seed)
    network = build_network(LARGE)
    assert isinstance(network, Grown)
    torch.nn.init.normal_(network.outer.head.weight, std=3.0)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, 30)
    was_right = predict_logits(network.inner, SPEC, pixels).argmax(1) == labels
    images = LabelledPixels(pixels=pixels, labels=labels)
    threshold = tune_threshold(network, SPEC, images, was_right, flip_target=target)
    right = predict_logits(network, SPEC, pixels).argmax(1) == labels
    assert np.sum(was_right & ~right) <= target * 30
    assert right.sum() >= was_right.sum(), "threshold 1 is always allowed, so it cannot get worse"
    assert network.threshold.item() == pytest.approx(threshold)


@settings(max_examples=20)
@given(seed=st.integers(0, 1000), target=st.floats(0.0, 0.5))
def test_tuned_merging_is_the_best_within_its_target(seed: int, target: float) -> None:
    torch.manual_seed(seed)
    network = merged()
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, 30)
    was_right = predict_logits(network.inner, SPEC, pixels).argmax(1) == labels
    images = LabelledPixels(pixels=pixels, labels=labels)
    share, bias = tune_merging(network, SPEC, images, was_right, flip_target=target)
    right = predict_logits(network, SPEC, pixels).argmax(1) == labels
    assert np.sum(was_right & ~right) <= target * 30
    assert right.sum() >= was_right.sum(), "the incumbent everywhere is always among the points"
    assert (network.share.item(), network.bias.item()) == pytest.approx((share, bias))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.3, 0.7]), same_side=st.booleans())
def test_every_point_is_what_its_bias_gives(seed: int, share: float, same_side: bool) -> None:
    """Flips are counted against the champion at its own side, where it may answer otherwise than the copy within."""
    rng = np.random.default_rng(seed)
    old, new = (rng.normal(0, 2, (25, 4)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 4, 25)
    kept = old.argmax(1)
    was_right = kept == labels if same_side else rng.random(25) < 0.5
    points = switch_points(old, new, labels, was_right=was_right, shares=(share,))
    pooled = pool(torch.from_numpy(old), torch.from_numpy(new), share).numpy().astype(np.float64)
    for bias, num_right, num_flips in zip(points.bias, points.num_right, points.num_flips, strict=True):
        biased = pooled.copy()
        biased[np.arange(25), kept] += bias
        right = biased.argmax(1) == labels
        assert (right.sum(), (was_right & ~right).sum()) == (num_right, num_flips)
    ends = [int((was_right & (answers != labels)).sum()) for answers in (kept, pooled.argmax(1))]
    assert [points.num_flips[0], points.num_flips[-1]] == ends, "from the incumbent to the plain pool"


def test_choices_among_points() -> None:
    old = np.array([[2, 0], [2, 0], [2, 0], [2, 0]], np.float32)
    new = np.array([[0, 9], [0, 7], [0, 5], [0, 3]], np.float32)
    labels = np.array([1, 0, 1, 1])  # leads fall 9, 7, 5, 3: gain, flip, gain, gain
    points = switch_points(old, new, labels, was_right=labels == 0, shares=(0.0,))
    assert list(points.num_right) == [1, 2, 1, 2, 3] and list(points.num_flips) == [0, 0, 1, 1, 1]
    assert points.most_accurate(max_flips=0) == 1
    assert points.most_accurate(max_flips=4) == 4


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), target=st.floats(0.0, 1.0))
def test_the_most_accurate_way_is_within_the_target_or_flips_fewest(seed: int, target: float) -> None:
    rng = np.random.default_rng(seed)
    right, was_right = rng.random((6, 20)) < 0.6, rng.random(20) < 0.6
    flips = [int((was_right & ~row).sum()) for row in right]
    best = most_accurate(right, was_right, flip_target=target)
    limit = max(target * 20, min(flips))
    assert flips[best] <= limit
    rivals = [index for index in range(6) if flips[index] <= limit]
    assert right[best].sum() == max(right[index].sum() for index in rivals)
    assert best == min(index for index in rivals if right[index].sum() == right[best].sum()), "ties go to the first"


def test_identical_networks_leave_nothing_to_switch() -> None:
    same = np.array([[1, 0], [0, 1]], np.float32)
    points = switch_points(same, same, np.array([0, 0]), was_right=np.array([True, False]), shares=(0.0, 0.5))
    assert list(points.num_flips) == [0, 0] and list(points.num_right) == [1, 1]


def test_while_it_learns_the_new_part_answers_alone() -> None:
    torch.manual_seed(0)
    network = merged()
    let_new_part_through(network)
    x = torch.randn(8, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(network(x).argmax(1), network.outer(x).argmax(1))

"""What is let through of a new part keeps to its flip target, and every outcome of a merge is counted right."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models.artefacts import ModelSpec
from components.models.families import build_network
from components.models.growth import Grown
from components.models.merging import Merged, pool
from components.models.prediction import predict_logits
from components.training.switching import let_new_part_through, switch_points, tune_merging, tune_threshold

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
    threshold = tune_threshold(network, SPEC, pixels, labels, flip_target=target)
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
    share, bias = tune_merging(network, SPEC, pixels, labels, flip_target=target)
    right = predict_logits(network, SPEC, pixels).argmax(1) == labels
    assert np.sum(was_right & ~right) <= target * 30
    assert right.sum() >= was_right.sum(), "the incumbent everywhere is always among the points"
    assert (network.share.item(), network.bias.item()) == pytest.approx((share, bias))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.0, 0.3, 0.7]))
def test_every_point_is_what_its_bias_gives(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    old, new = (rng.normal(0, 2, (25, 4)).astype(np.float32) for _ in range(2))
    labels = rng.integers(0, 4, 25)
    points = switch_points(old, new, labels, shares=(share,))
    kept = old.argmax(1)
    pooled = pool(torch.from_numpy(old), torch.from_numpy(new), share).numpy().astype(np.float64)
    for bias, num_right, num_flips in zip(points.bias, points.num_right, points.num_flips, strict=True):
        biased = pooled.copy()
        biased[np.arange(25), kept] += bias
        right = biased.argmax(1) == labels
        assert (right.sum(), ((kept == labels) & ~right).sum()) == (num_right, num_flips)
    flips = [int(((kept == labels) & ~(pooled.argmax(1) == labels)).sum())]
    assert points.num_flips[0] == 0 and points.num_flips[-1] == flips[0], "from the incumbent to the plain pool"


def test_choices_among_points() -> None:
    old = np.array([[2, 0], [2, 0], [2, 0], [2, 0]], np.float32)
    new = np.array([[0, 9], [0, 7], [0, 5], [0, 3]], np.float32)
    labels = np.array([1, 0, 1, 1])  # leads fall 9, 7, 5, 3: gain, flip, gain, gain
    points = switch_points(old, new, labels, shares=(0.0,))
    assert list(points.num_right) == [1, 2, 1, 2, 3] and list(points.num_flips) == [0, 0, 1, 1, 1]
    assert points.most_accurate(max_flips=0) == 1
    assert points.most_accurate(max_flips=4) == 4
    assert points.fewest_flips(min_right=2) == 1
    assert points.fewest_flips(min_right=3) == 4
    assert points.fewest_flips(min_right=99) == 4, "out of reach: the most accurate"


def test_identical_networks_leave_nothing_to_switch() -> None:
    same = np.array([[1, 0], [0, 1]], np.float32)
    points = switch_points(same, same, np.array([0, 0]), shares=(0.0, 0.5))
    assert list(points.num_flips) == [0, 0] and list(points.num_right) == [1, 1]


def test_while_it_learns_the_new_part_answers_alone() -> None:
    torch.manual_seed(0)
    network = merged()
    let_new_part_through(network)
    x = torch.randn(8, 3, 8, 8)
    with torch.inference_mode():
        assert torch.equal(network(x).argmax(1), network.outer(x).argmax(1))

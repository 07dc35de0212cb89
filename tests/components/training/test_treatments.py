"""The losses against flips, by hand and by finite differences; the gain keeps to its flip target."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.models.artefacts import ModelSpec
from components.models.families import build_network
from components.models.growth import Grown
from components.models.prediction import predict_logits
from components.training.treatments import ContainedLoss, PlainLoss, focal_distance, tune_threshold

SMALL = {"family": "convnet", "num_classes": 2, "widths": [4], "blocks": [1], "stem_stride": 2}
LARGE = {"family": "grown", "inner": SMALL, "outer": SMALL}


def test_focal_distance_by_hand() -> None:
    old = torch.tensor([[2.0, 0.0], [0.0, 1.0]])
    new = torch.tensor([[1.0, 1.0], [0.0, 3.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    # first: old right, (1 + 5) * 0.5 * (1 + 1) / 2 = 3; second: old wrong, 1 * 0.5 * 4 / 2 = 1
    assert focal_distance(old, new, targets).item() == pytest.approx(2.0)


def test_focal_distance_gradient_by_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    old, new = (torch.randn(3, 4, generator=generator, dtype=torch.float64) for _ in range(2))
    targets = torch.nn.functional.one_hot(torch.tensor([0, 1, 2]), 4).double()
    assert torch.autograd.gradcheck(lambda x: focal_distance(old, x, targets), new.requires_grad_())


def test_weight_zero_is_the_new_part_s_own_cross_entropy() -> None:
    torch.manual_seed(0)
    network = build_network(LARGE).eval()
    assert isinstance(network, Grown)
    torch.nn.init.normal_(network.outer.head.weight)
    images, targets = torch.randn(2, 3, 8, 8), torch.eye(2)
    _, added = network.parts(images)
    own = torch.nn.functional.cross_entropy(added, targets, label_smoothing=0.1).item()
    assert ContainedLoss(label_smoothing=0.1, weight=0.0)(network, images, targets).item() == pytest.approx(own)
    assert ContainedLoss(label_smoothing=0.1, weight=1.0)(network, images, targets).item() > own


def test_plain_loss_is_cross_entropy() -> None:
    torch.manual_seed(0)
    network = build_network(SMALL).eval()
    images, targets = torch.randn(2, 3, 8, 8), torch.eye(2)
    expected = torch.nn.functional.cross_entropy(network(images), targets).item()
    assert PlainLoss(label_smoothing=0.0)(network, images, targets).item() == pytest.approx(expected)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), target=st.floats(0.01, 0.5))
def test_tuned_threshold_is_the_best_within_its_target(seed: int, target: float) -> None:
    torch.manual_seed(seed)
    network = build_network(LARGE)
    assert isinstance(network, Grown)
    torch.nn.init.normal_(network.outer.head.weight, std=3.0)
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (30, 8, 8, 3), dtype=np.uint8)
    labels = rng.integers(0, 2, 30)
    spec = ModelSpec(architecture=LARGE, classes=("a", "b"), size_px=8)
    was_right = predict_logits(network.inner, spec, pixels).argmax(1) == labels
    threshold = tune_threshold(network, spec, pixels, labels, flip_target=target)
    right = predict_logits(network, spec, pixels).argmax(1) == labels
    assert np.sum(was_right & ~right) <= target * 30
    assert right.sum() >= was_right.sum(), "threshold 1 is always allowed, so it cannot get worse"
    assert network.threshold.item() == pytest.approx(threshold)

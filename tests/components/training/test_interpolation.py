"""Weights on the line between old and new: ends are exact, flips within the target, other shapes refused."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from components.core.errors import ConfigError
from components.models.artefacts import ModelSpec
from components.models.networks.registry import build_network
from components.models.prediction import predict_logits
from components.training.batches import LabelledPixels
from components.training.interpolation import interpolate, tune_coefficient

SMALL = {"family": "convnet", "num_classes": 2, "widths": [4], "blocks": [1], "stem_stride": 2}
SPEC = ModelSpec(architecture=SMALL, classes=("a", "b"), size_px=8)


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    made = build_network(SMALL)
    torch.nn.init.normal_(made.head.weight, std=3.0)  # type: ignore[union-attr,arg-type]
    return made.eval()


def search(seed: int = 0) -> LabelledPixels:
    rng = np.random.default_rng(seed)
    return LabelledPixels(pixels=rng.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8), labels=rng.integers(0, 2, 40))


def tuned(new: nn.Module, old: nn.Module, images: LabelledPixels, *, target: float) -> tuple[float, NDArray[np.bool_]]:
    """The coefficient chosen for `new`, and which images `old` has right."""
    was_right = predict_logits(old, SPEC, images.pixels).argmax(1) == images.labels
    coefficient = tune_coefficient(
        new,
        old.state_dict(),
        SPEC,
        search=images,
        was_right=was_right,
        calibration=images.pixels,
        flip_target=target,
    )
    return coefficient, was_right


def test_halfway_by_hand_and_ends_exact() -> None:
    old = {"w": torch.tensor([0.0, 3.0]), "n": torch.tensor(1)}
    new = {"w": torch.tensor([1.0, 5.0]), "n": torch.tensor(9)}
    assert interpolate(old, new, 0.5)["w"].tolist() == [0.5, 4.0]
    assert interpolate(old, new, 0.5)["n"] == 9
    assert torch.equal(interpolate(old, new, 0.0)["w"], old["w"])
    assert torch.equal(interpolate(old, new, 1.0)["w"], new["w"])


def test_other_architectures_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"\['w'\] differ"):
        interpolate({"w": torch.zeros(2)}, {"w": torch.zeros(3)}, 0.5)


@pytest.mark.parametrize("target", [0.0, 0.1, 0.5])
def test_tuned_coefficient_keeps_to_its_target(target: float) -> None:
    old, new, images = network(0), network(1), search()
    coefficient, was_right = tuned(new, old, images, target=target)
    right = predict_logits(new, SPEC, images.pixels).argmax(1) == images.labels
    assert 0 <= coefficient <= 1
    assert np.sum(was_right & ~right) <= target * 40
    assert right.sum() >= was_right.sum(), "the old weights are always allowed"


def test_where_the_new_is_no_better_the_old_weights_stay() -> None:
    old = network(0)
    new = network(0)
    images = search()
    assert tuned(new, old, images, target=1)[0] == 0
    assert all(torch.equal(a, b) for a, b in zip(old.state_dict().values(), new.state_dict().values(), strict=True))

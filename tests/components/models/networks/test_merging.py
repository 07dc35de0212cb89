"""A merged network is its incumbent, its new part or the weighted evidence of both, with a head start for the old."""

import math

import pytest
import torch

from components.models.networks.merging import Merged, pool
from components.models.networks.registry import build_network

SMALL = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(60, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def merged() -> Merged:
    torch.manual_seed(0)
    network = Merged(build_network(SMALL), build_network({**SMALL, "widths": [6, 10]}))
    for part in (network.inner, network.outer):
        torch.nn.init.normal_(part.head.weight)  # type: ignore[union-attr,arg-type]
    return network.eval()


def test_starts_as_the_incumbent(merged: Merged, images: torch.Tensor) -> None:
    with torch.inference_mode():
        assert torch.allclose(merged(images), merged.inner(images).log_softmax(dim=1))


def test_pool_by_hand() -> None:
    old, new = torch.log(torch.tensor([[0.8, 0.2]])), torch.log(torch.tensor([[0.2, 0.8]]))
    assert pool(old, new, 0.5).softmax(dim=1).tolist()[0] == pytest.approx([0.5, 0.5])
    quarter = [0.25 * math.log(a) + 0.75 * math.log(b) for a, b in ((0.8, 0.2), (0.2, 0.8))]
    assert pool(old, new + 7.0, 0.25).tolist()[0] == pytest.approx(quarter), "logits count up to a constant"


def test_a_larger_bias_overrules_the_incumbent_less(merged: Merged, images: torch.Tensor) -> None:
    merged.share.fill_(0.2)
    overruled = []
    with torch.inference_mode():
        kept = merged.inner(images).argmax(1)
        for bias in (0.0, 0.5, 2.0, 1e6):
            merged.bias.fill_(bias)
            overruled.append(int((merged(images).argmax(1) != kept).sum()))
    assert overruled == sorted(overruled, reverse=True) and overruled[0] > overruled[-1] == 0


def test_the_incumbent_is_frozen(merged: Merged, images: torch.Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in merged.inner.state_dict().items()}
    merged.train()
    merged(images).square().mean().backward()
    assert all(parameter.grad is None for parameter in merged.inner.parameters())
    assert all(torch.equal(before[name], tensor) for name, tensor in merged.inner.state_dict().items())

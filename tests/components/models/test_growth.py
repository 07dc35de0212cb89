"""Growth keeps the incumbent whole inside: bit-identical outputs, whatever the new part learns."""

import pytest
import torch

from components.models.families import build_network
from components.models.growth import Grown, stage_maps

SMALL = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
LARGE = {"family": "grown", "inner": SMALL, "num_classes": 3, "widths": [6, 10], "blocks": [1, 2], "stem_stride": 2}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def grown(seed: int = 0) -> Grown:
    torch.manual_seed(seed)
    network = build_network(LARGE)
    assert isinstance(network, Grown)
    return network


def test_starts_as_the_incumbent_to_the_bit(images: torch.Tensor) -> None:
    network = grown().eval()
    with torch.inference_mode():
        assert torch.equal(network(images), network.inner(images))


def test_training_the_new_part_leaves_the_incumbent_bit_identical(images: torch.Tensor) -> None:
    network = grown()
    before = {name: tensor.clone() for name, tensor in network.inner.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network.train()
    for _ in range(3):
        network(images).square().mean().add(network(images).sum()).backward()
        optimizer.step()
    after = network.inner.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "weights or batch-norm statistics moved"
    with torch.inference_mode():
        network.eval()
        assert not torch.equal(network(images), network.inner(images)), "the new part learned nothing"


def test_gain_zero_is_the_incumbent_and_gain_scales_the_rest(images: torch.Tensor) -> None:
    network = grown().eval()
    torch.nn.init.normal_(network.outer.head.weight)
    with torch.inference_mode():
        old, added = network.parts(images)
        network.gain.fill_(0.5)
        assert torch.allclose(network(images), old + 0.5 * added)
        network.gain.fill_(0.0)
        assert torch.equal(network(images), old)


def test_grows_again_around_a_grown_network(images: torch.Tensor) -> None:
    twice = build_network({**LARGE, "inner": LARGE, "widths": [3, 5]}).eval()
    assert isinstance(twice, Grown)
    with torch.inference_mode():
        maps, logits = stage_maps(twice.inner, images)
        assert [m.shape[1] for m in maps] == [6 + 4, 10 + 8]
        assert torch.equal(twice(images), logits)


def test_new_channels_read_the_old_ones(images: torch.Tensor) -> None:
    network = grown().eval()
    torch.nn.init.normal_(network.outer.head.weight)
    with torch.inference_mode():
        _, before = network.parts(images)
        network.inner.stem[0].weight.mul_(2.0)
        _, after = network.parts(images)
    assert not torch.allclose(before, after)

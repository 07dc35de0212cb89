"""Growth keeps the incumbent whole inside: its answers stand bit for bit wherever the new part is not surer."""

import pytest
import torch

from components.models.networks.growth import Grown, margins
from components.models.networks.registry import build_network

SMALL = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
LARGE = {"family": "grown", "inner": SMALL, "outer": {**SMALL, "widths": [6, 10]}}


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(40, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def grown() -> Grown:
    torch.manual_seed(0)
    network = build_network(LARGE)
    assert isinstance(network, Grown)
    torch.nn.init.normal_(network.outer.head.weight)  # type: ignore[union-attr,arg-type]
    torch.nn.init.normal_(network.inner.head.weight)  # type: ignore[union-attr,arg-type]
    return network.eval()


def test_starts_as_the_incumbent_to_the_bit(grown: Grown, images: torch.Tensor) -> None:
    with torch.inference_mode():
        assert torch.equal(grown(images), grown.inner(images))


def test_training_the_new_part_leaves_the_incumbent_bit_identical(grown: Grown, images: torch.Tensor) -> None:
    before = {name: tensor.clone() for name, tensor in grown.inner.state_dict().items()}
    grown.threshold.fill_(0.0)
    optimizer = torch.optim.SGD([p for p in grown.parameters() if p.requires_grad], lr=0.1)
    grown.train()
    for _ in range(3):
        grown.parts(images)[1].square().mean().backward()
        optimizer.step()
    after = grown.inner.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before), "weights or batch-norm statistics moved"


def test_the_switch_gives_one_part_or_the_other_and_never_a_blend(grown: Grown, images: torch.Tensor) -> None:
    with torch.inference_mode():
        old, new = grown.parts(images)
        margin = margins(old, new)
        grown.threshold.fill_(float(margin.median()))
        out = grown(images)
    overruled = margin > grown.threshold
    assert 0 < overruled.sum() < len(images)
    assert torch.equal(out[overruled], new[overruled]) and torch.equal(out[~overruled], old[~overruled])


def test_threshold_zero_answers_as_the_new_part(grown: Grown, images: torch.Tensor) -> None:
    grown.threshold.fill_(0.0)
    with torch.inference_mode():
        assert torch.equal(grown(images).argmax(1), grown.parts(images)[1].argmax(1))


def test_margins_by_hand() -> None:
    old, new = torch.tensor([[5.0, 0.0], [0.0, 5.0]]), torch.log(torch.tensor([[0.2, 0.8], [0.3, 0.7]]))
    assert margins(old, new).tolist() == pytest.approx([0.6, 0.0])


def test_grows_again_around_a_grown_network(images: torch.Tensor) -> None:
    twice = build_network({**LARGE, "inner": LARGE}).eval()
    assert isinstance(twice, Grown) and isinstance(twice.inner, Grown)
    with torch.inference_mode():
        assert torch.equal(twice(images), twice.inner.inner(images))

"""A larger network begins as the very function of a smaller one, and what it inherits is all free to learn."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from components.core.errors import ConfigError
from components.models.artefacts import ModelSpec
from components.models.networks.convnets import ConvNet
from components.models.networks.inheriting import inherit
from components.models.networks.merging import Merged
from components.models.networks.slicing import check_contained

SPEC = ModelSpec(architecture={}, classes=("a", "b", "c"), size_px=16)
OLD = {"widths": [4, 6], "blocks": [1, 2], "kernels": [3, 3, 3]}


def lively(network: nn.Module, *, seed: int) -> nn.Module:
    """Weights and statistics as after training, so that nothing is hidden behind zeros and ones."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in (*network.parameters(), *(b for b in network.buffers() if b.is_floating_point())):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.4 + 0.1 * (tensor.ndim < 2))
    return network.eval()


def old_network() -> nn.Module:
    return lively(ConvNet(num_classes=3, **OLD), seed=0)


@given(
    more=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    deeper=st.tuples(st.integers(0, 2), st.integers(0, 1)),
    sides=st.tuples(*[st.sampled_from([3, 5])] * 3),
    seed=st.integers(0, 9),
)
@settings(max_examples=25, deadline=None)
def test_any_larger_convnet_starts_as_the_old_function_and_holds_its_bytes(more, deeper, sides, seed):
    old = old_network()
    shape = {"widths": [4 + more[0], 6 + more[1]], "blocks": [1 + deeper[0], 2 + deeper[1]], "kernels": list(sides)}
    new = lively(ConvNet(num_classes=3, **shape), seed=seed + 1)
    inherit(new, SPEC, old=old, old_spec=SPEC)
    images = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(new(images), old(images), rtol=1e-4, atol=1e-4)
    check_contained(new.state_dict(), old.state_dict(), statistics=True)


def test_all_that_is_inherited_and_all_that_is_new_learns():
    new = ConvNet(num_classes=3, widths=[6, 9], blocks=[2, 2])
    inherit(new, SPEC, old=old_network(), old_spec=SPEC)
    new.train()
    before = {name: parameter.detach().clone() for name, parameter in new.named_parameters()}
    optimizer = torch.optim.SGD(new.parameters(), lr=0.1)
    for step in range(3):  # what lies behind a zero moves a step after the zero does
        images = torch.randn(8, 3, 16, 16, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        nn.functional.cross_entropy(new(images), torch.arange(8) % 3).backward()
        optimizer.step()
    still = [name for name, parameter in new.named_parameters() if torch.equal(parameter, before[name])]
    assert not still


def test_classes_that_came_keep_their_own_rows_and_those_that_went_leave_no_trace():
    old = old_network()
    grown = replace(SPEC, classes=("c", "new", "a"))
    new = ConvNet(num_classes=3, widths=[6, 9], blocks=[1, 2])
    drawn = new.head.weight[1].detach().clone()
    inherit(new.eval(), grown, old=old, old_spec=SPEC)
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(new(images)[:, [2, 0]], old(images)[:, [0, 2]], rtol=1e-4, atol=1e-4)
    assert torch.equal(new.head.weight[1], drawn)


def test_of_a_champion_that_holds_another_the_new_part_is_inherited():
    part = old_network()
    champion = Merged(lively(ConvNet(num_classes=3, widths=[3], blocks=[1]), seed=5), part).eval()
    new = ConvNet(num_classes=3, widths=[5, 8], blocks=[1, 2]).eval()
    inherit(new, SPEC, old=champion, old_spec=SPEC)
    images = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(new(images), part(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("shape", "told"),
    [
        ({"widths": [3, 6], "blocks": [1, 2]}, "does not fit"),
        ({"widths": [4, 6], "blocks": [1, 1]}, "2 blocks in a stage"),
        ({"widths": [4, 6, 8], "blocks": [1, 2, 1]}, "2 stages"),
        ({"widths": [4, 6], "blocks": [1, 2], "stem_stride": 2}, "stride"),
        ({"widths": [4, 6], "blocks": [1, 2], "kernels": [3, 1, 3]}, "does not fit"),
    ],
)
def test_a_champion_that_does_not_fit_is_told_in_words(shape, told):
    with pytest.raises(ConfigError, match=told):
        inherit(ConvNet(num_classes=3, **shape), SPEC, old=old_network(), old_spec=SPEC)


def test_a_champion_of_another_family_or_normalisation_is_told_in_words():
    new = ConvNet(num_classes=3, widths=[6, 9], blocks=[1, 2])
    with pytest.raises(ConfigError, match="from Linear"):
        inherit(new, SPEC, old=nn.Linear(3, 3), old_spec=SPEC)
    with pytest.raises(ConfigError, match="mean"):
        inherit(new, SPEC, old=old_network(), old_spec=replace(SPEC, mean=(0.1, 0.2, 0.3)))

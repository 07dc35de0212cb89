"""Channels grown around an incumbent: whatever the new weights are, its logits come out bit for bit."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from components.core.errors import ConfigError, DataError
from components.models.artefacts import LoadedModel, ModelSpec, load_model, save_model
from components.models.foreign.incumbents import as_inner, grow_around
from components.models.networks.calibration import calibrate
from components.models.networks.growth import Grown
from components.models.networks.registry import build_network
from components.models.networks.slicing import check_contained, is_statistic
from components.models.networks.subnets import largest, smallest, space_around
from components.models.networks.supernets import extract, family_around
from components.models.networks.widening import Widened
from tests.components.models.networks.members import every_member, holds

SMALL = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
SPEC = ModelSpec(architecture=SMALL, classes=("a", "b", "c"), size_px=16)
SHAPE = {"widths": [6, 12], "blocks": [2, 1], "kernels": [5, 3, 3]}
seeds = st.integers(0, 2**31)


def incumbent(classes: tuple[str, ...] = SPEC.classes) -> LoadedModel:
    torch.manual_seed(0)
    architecture = {**SMALL, "num_classes": len(classes)}
    network = shaken(build_network(architecture), seed=0).eval()
    spec = replace(SPEC, architecture=architecture, classes=classes)
    return LoadedModel(network=network, spec=spec, digest="of the incumbent")


def shaken(network: nn.Module, *, seed: int) -> nn.Module:
    """Every trained weight and statistic anew."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.dtype.is_floating_point and not name.endswith("threshold"):
            low = 0.1 if name.endswith("running_var") else -1.0
            tensor.uniform_(low, 1.0, generator=generator)
    return network


def images(num: int = 20) -> torch.Tensor:
    return torch.randn(num, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def beside(old: LoadedModel, target: ModelSpec) -> Grown:
    return Grown(as_inner(old, target)[0], build_network(target.architecture))


def widened(old: LoadedModel, target: ModelSpec = SPEC) -> Widened:
    return grow_around(old, target, widths=[6, 12], blocks=[2, 1], kernels=[5, 3, 3])[0].eval()


@given(seeds)
@settings(max_examples=10)
def test_inner_logits_are_the_incumbents_whatever_the_new_weights(seed: int) -> None:
    old = incumbent()
    network = widened(old)
    shaken(network.outer, seed=seed)
    with torch.inference_mode():
        assert torch.equal(network.parts(images())[0], old.network(images()))
        assert torch.equal(network(images()), old.network(images())), "threshold 1 is the incumbent"


def test_new_channels_read_the_old_ones() -> None:
    old = incumbent()
    network = widened(old)
    with torch.inference_mode():
        before = network.parts(images())[1]
        shaken(network.inner, seed=5)
        assert not torch.equal(network.parts(images())[1], before)


def test_training_and_calibration_leave_the_incumbent_bit_identical() -> None:
    old = incumbent()
    frozen = {name: tensor.clone() for name, tensor in old.network.state_dict().items()}
    network = widened(old)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    for _ in range(3):
        network.train().parts(images())[1].square().mean().backward()
        optimizer.step()
    assert calibrate(network, images()) > 0
    check_contained(network.inner.state_dict(), frozen, statistics=True)
    assert not torch.equal(network.outer.stem[1].running_mean, torch.zeros(2))


def test_the_incumbent_given_is_not_the_one_inside() -> None:
    old = incumbent()
    network = widened(old)
    shaken(network, seed=8)
    assert not torch.equal(network.inner.head.bias, old.network.head.bias)  # type: ignore[union-attr,arg-type]


def test_survives_the_disk(tmp_path: Path) -> None:
    old = incumbent()
    network, spec = grow_around(old, SPEC, **SHAPE)
    shaken(network.outer, seed=1)
    nn.init.normal_(network.outer.head.bias, std=99.0)  # the new part disagrees
    network.threshold.fill_(0.0)
    save_model(tmp_path / "m", network, spec)
    loaded = load_model(tmp_path / "m").network
    assert isinstance(loaded, Widened)
    with torch.inference_mode():
        assert torch.equal(loaded(images()), network.eval()(images()))
        assert not torch.equal(loaded(images()), old.network(images()))


def test_every_member_of_a_family_around_an_incumbent_keeps_its_function() -> None:
    old = incumbent()
    space = space_around({**SMALL, "widths": [4, 8]}, sizes_px=(16,), wider=True)
    family = family_around(old, SPEC, space)
    shaken(family.largest.outer, seed=3)  # type: ignore[arg-type]
    members = {spec: extract(family.eval(), spec)[0] for spec in every_member(space)}
    with torch.inference_mode():
        for spec, member in members.items():
            assert isinstance(member, Grown)
            assert torch.equal(member.parts(images())[0], old.network(images()))
            assert torch.equal(member(images()), family(images(), spec))
            for other, smaller in members.items():
                if holds(spec, other):
                    check_contained(member.state_dict(), smaller.state_dict())
    assert len(members) > 3


def test_a_family_around_an_incumbent_may_know_other_classes() -> None:
    old = incumbent(("b", "gone", "a"))
    space = replace(space_around(SMALL, sizes_px=(16,), wider=True), num_classes=2)
    target = replace(SPEC, classes=("a", "b"))
    family = family_around(old, target, space).eval()
    member, _ = extract(family, smallest(space))
    with torch.inference_mode():
        assert torch.equal(member(images()), old.network(images())[:, [2, 0]])
        assert torch.equal(member(images()), family(images(), smallest(space)))


def test_a_family_around_an_incumbent_trains_the_new_part_alone() -> None:
    old = incumbent()
    space = space_around(SMALL, sizes_px=(16,), wider=True)
    family = family_around(old, SPEC, space).train()
    for spec in (smallest(space), largest(space)):
        family.trained_logits(images(), spec).square().mean().backward()
    trained = {name for name, p in family.largest.named_parameters() if p.grad is not None}
    assert trained and all(name.startswith("outer.") for name in trained)
    check_contained(family.largest.inner.state_dict(), old.network.state_dict(), statistics=True)  # type: ignore[union-attr]


@pytest.mark.parametrize("around", [True, False], ids=["around", "beside"])
def test_the_new_model_may_know_more_classes_and_lack_old_ones(around: bool) -> None:
    old = incumbent(("b", "gone", "a"))
    target = replace(SPEC, architecture={**SMALL, "num_classes": 4}, classes=("a", "b", "new", "newer"))
    network = widened(old, target) if around else beside(old, target).eval()
    with torch.inference_mode():
        inner, logits = network.parts(images())[0], old.network(images())
    assert torch.equal(inner[:, :2], logits[:, [2, 0]]), "known classes keep their logits' bits"
    assert (inner[:, 2:] < logits.amin(1, keepdim=True)).all(), "unknown classes never win"
    assert torch.equal(network.inner.known, torch.tensor([True, True, False, False]))


def test_one_class_works() -> None:
    one = incumbent(("a",))
    target = replace(SPEC, architecture={**SMALL, "num_classes": 1}, classes=("a",))
    with torch.inference_mode():
        assert torch.equal(widened(one, target)(images()), one.network(images()))


def test_no_common_class_is_refused() -> None:
    with pytest.raises(DataError, match="share no class"):
        widened(incumbent(("x", "y", "z")))


@pytest.mark.parametrize("shape", [{"widths": [4, 12]}, {"blocks": [1, 0]}, {"widths": [6, 12, 24]}])
def test_a_new_part_with_nothing_new_is_refused(shape: dict[str, list[int]]) -> None:
    with pytest.raises(ConfigError, match="must exceed"):
        grow_around(incumbent(), SPEC, **{**SHAPE, **shape})


def test_another_input_cannot_be_widened_but_grown_beside() -> None:
    old, target = incumbent(), replace(SPEC, mean=(0.5, 0.5, 0.5), size_px=32)
    with pytest.raises(ConfigError, match="grow beside it"):
        grow_around(old, target, **SHAPE)
    assert as_inner(old, target)[1]["family"] == "adapted"
    network = beside(old, target)
    large = torch.rand(4, 3, 32, 32)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (target.mean, target.std))
    own_mean, own_std = (torch.tensor(values).view(3, 1, 1) for values in (SPEC.mean, SPEC.std))
    small = torch.nn.functional.interpolate(large, (16, 16), mode="bilinear", antialias=True)
    with torch.inference_mode():
        inner = network.eval().parts((large - mean) / std)[0]
        assert torch.allclose(inner, old.network((small - own_mean) / own_std), atol=1e-4)


def test_statistics_of_the_incumbent_belong_to_containment() -> None:
    network = widened(incumbent())
    changed = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    name = next(n for n in changed if is_statistic(n) and n.startswith("inner.") and n.endswith("running_mean"))
    changed[name][0] += 1
    with pytest.raises(Exception, match=name):
        check_contained(network.state_dict(), changed)

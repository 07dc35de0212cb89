"""Sub-networks as values: costs are exact, containment is a partial order, operators stay within the space."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import ConfigError
from components.models.networks.costs import count_multiply_adds
from components.models.networks.registry import build_network
from components.models.networks.subnets import (
    Space,
    architecture_of,
    contains,
    crossover,
    enumerate_specs,
    from_genes,
    from_genotype,
    largest,
    multiply_adds,
    mutate,
    num_parameters,
    num_specs,
    photo_space,
    resnet_space,
    sample_spec,
    small_image_space,
    smallest,
    space_around,
    space_from_json,
    spec_from_json,
    to_genes,
    to_genotype,
)

SPACE = Space(
    num_classes=3,
    widths=((4, 6), (8, 12)),
    depths=((1, 2), (1,)),
    kernels=((3, 5), (3,), (3, 5)),
    sizes_px=(8, 12),
    stem_stride=2,
)
seeds = st.integers(0, 2**32 - 1)


@given(seeds)
@settings(max_examples=15)
def test_costs_are_those_of_the_built_network(seed: int) -> None:
    spec = sample_spec(SPACE, np.random.default_rng(seed))
    network = build_network(architecture_of(SPACE, spec))
    assert num_parameters(SPACE, spec) == sum(p.numel() for p in network.parameters())
    assert multiply_adds(SPACE, spec) == count_multiply_adds(network, spec.size_px)


@pytest.mark.parametrize("space", [small_image_space(10), photo_space(20)], ids=["small images", "photos"])
def test_costs_of_the_default_families_are_exact_at_both_ends(space: Space) -> None:
    for spec in (smallest(space), largest(space)):
        with torch.device("meta"):
            network = build_network(architecture_of(space, spec))
        assert num_parameters(space, spec) == sum(p.numel() for p in network.parameters())


def test_the_default_family_spans_a_factor_of_four() -> None:
    space = small_image_space(10)
    assert 80_000 < num_parameters(space, smallest(space)) < 95_000
    assert 330_000 < num_parameters(space, largest(space)) < 370_000
    assert 3.8 < multiply_adds(space, largest(space)) / multiply_adds(space, smallest(space)) < 4.3


def test_the_smallest_of_its_family_is_resnet_18() -> None:
    """11.17 million parameters and 0.56 billion multiply-adds at 32 px, as published implementations count them."""
    space = resnet_space(10)
    assert round(num_parameters(space, smallest(space)) / 1e6, 2) == 11.17
    assert round(multiply_adds(space, smallest(space)) / 1e9, 2) == 0.56


@given(seeds)
def test_containment_is_a_partial_order(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (sample_spec(SPACE, rng) for _ in range(3))
    assert contains(a, a) and contains(largest(SPACE), a) and contains(a, smallest(SPACE))
    if contains(a, b) and contains(b, c):
        assert contains(a, c)
    if contains(a, b) and contains(b, a):
        assert (a.widths, a.depths, a.kernels) == (b.widths, b.depths, b.kernels)


@given(seeds, st.floats(0, 1))
def test_operators_stay_in_the_space_and_are_deterministic(seed: int, rate: float) -> None:
    first, second = (sample_spec(SPACE, np.random.default_rng([seed, i])) for i in range(2))
    mutant = mutate(SPACE, first, np.random.default_rng(seed), rate=rate)
    assert mutant != first
    assert mutant == mutate(SPACE, first, np.random.default_rng(seed), rate=rate)
    child = crossover(SPACE, first, second, np.random.default_rng(seed))
    for own, a, b in zip(*(to_genes(SPACE, s) for s in (child, first, second)), strict=True):
        assert own in (a, b)
    assert from_genes(SPACE, to_genes(SPACE, mutant)) == mutant
    assert from_genotype(SPACE, to_genotype(SPACE, mutant)) == mutant


def test_enumeration_gives_every_member_once() -> None:
    members = list(enumerate_specs(SPACE))
    assert len(members) == len(set(members)) == num_specs(SPACE) == 2**6
    assert members[0] == smallest(SPACE) and members[-1] == largest(SPACE)


def test_json_round_trip() -> None:
    assert space_from_json(SPACE.to_json()) == SPACE
    assert spec_from_json(largest(SPACE).to_json()) == largest(SPACE)
    with pytest.raises(ConfigError, match="sizes_px"):
        space_from_json({"num_classes": 3})


def test_a_single_member_has_no_mutant() -> None:
    only = Space(num_classes=1, widths=((4,),), depths=((1,),), kernels=((3,), (3,)), sizes_px=(8,))
    assert mutate(only, smallest(only), np.random.default_rng(0)) == largest(only)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernels": ((3,), (3,))}, "one kernel more"),
        ({"widths": ((6, 4), (8,))}, "ascending"),
        ({"kernels": ((2, 4), (3,), (3,))}, "must be odd"),
        ({"sizes_px": (8, 10)}, "multiples of 4"),
        ({"num_classes": 0}, "1 or more"),
    ],
)
def test_a_space_that_does_not_fit_together_is_named(changes: dict[str, object], message: str) -> None:
    fields = {name: getattr(SPACE, name) for name in ("num_classes", "widths", "depths", "kernels", "sizes_px")}
    with pytest.raises(ConfigError, match=message):
        Space(**{**fields, "stem_stride": 2, **changes})  # type: ignore[arg-type]


def test_a_stranger_is_no_member() -> None:
    with pytest.raises(ConfigError, match="width_0 is 5, which is not among"):
        to_genes(SPACE, spec_from_json({**smallest(SPACE).to_json(), "widths": [5, 8]}))


def test_a_genotype_of_another_space_is_named() -> None:
    genotype = to_genotype(SPACE, smallest(SPACE))
    assert genotype["width_0"] == 4 and genotype["size_px"] == 8
    with pytest.raises(ConfigError, match="are not those of the space"):
        from_genotype(SPACE, {"width_0": 4})
    with pytest.raises(ConfigError, match="depth_0 is 9"):
        from_genotype(SPACE, {**genotype, "depth_0": 9})


def test_a_family_around_a_convnet_starts_with_it() -> None:
    architecture = {"family": "convnet", "num_classes": 4, "widths": [16, 32], "blocks": [2, 1]}
    space = space_around(architecture, sizes_px=(32,))
    assert architecture_of(space, smallest(space)) == {**architecture, "kernels": [3, 3, 3], "stem_stride": 1}
    assert largest(space).widths == (32, 64) and largest(space).depths == (3, 2)
    wider = space_around(architecture, sizes_px=(32,), wider=True)
    assert all(width > old for width, old in zip(smallest(wider).widths, (16, 32), strict=True))
    with pytest.raises(ConfigError, match="grown"):
        space_around({"family": "torchvision"}, sizes_px=(32,))


@pytest.mark.parametrize(("widths", "told"), [([2, 8], 1.5), ([8, 3], 1.34), ([1, 1], 2.0)])
def test_a_factor_that_no_wider_network_fits_is_named_with_one_that_does(widths: list[int], told: float) -> None:
    around = {"family": "convnet", "num_classes": 2, "widths": widths, "blocks": [1, 1]}
    with pytest.raises(ConfigError, match=rf"at most 1\.1 times as wide; choose a width_factor of {told} or more"):
        space_around(around, sizes_px=(16,), width_factor=1.1, wider=True)
    space = space_around(around, sizes_px=(16,), width_factor=told, wider=True)
    assert all(width > old for width, old in zip(smallest(space).widths, widths, strict=True))

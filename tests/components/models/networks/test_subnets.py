"""Sub-networks as values: costs are exact, genes lead back to their member, what does not fit together is named."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import ConfigError
from components.models.networks.costs import count_multiply_adds
from components.models.networks.registry import build_network
from components.models.networks.subnets import (
    Space,
    architecture_of,
    from_genes,
    from_genotype,
    largest,
    multiply_adds,
    num_parameters,
    sample_spec,
    smallest,
    space_around,
    space_from_json,
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


@given(seeds)
def test_genes_and_genotypes_lead_back_to_their_member(seed: int) -> None:
    spec = sample_spec(SPACE, np.random.default_rng(seed))
    assert from_genes(SPACE, to_genes(SPACE, spec)) == from_genotype(SPACE, to_genotype(SPACE, spec)) == spec


def test_json_round_trip() -> None:
    assert space_from_json(SPACE.to_json()) == SPACE
    with pytest.raises(ConfigError, match="sizes_px"):
        space_from_json({"num_classes": 3})


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
        to_genes(SPACE, replace(smallest(SPACE), widths=(5, 8)))


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

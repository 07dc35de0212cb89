"""Sub-networks as tests and benchmarks need them: every member of a family, and which of two holds the other."""

import itertools
from collections.abc import Iterator

from components.models.networks.subnets import Space, SubnetSpec, from_genes


def every_member(space: Space) -> Iterator[SubnetSpec]:
    """Every member, the smallest first."""
    for genes in itertools.product(*(range(len(choices)) for choices in space.choices)):
        yield from_genes(space, genes)


def holds(larger: SubnetSpec, smaller: SubnetSpec) -> bool:
    """Whether one member's weights hold the other's; the image side has no weights and does not count."""
    mine, other = ((*spec.widths, *spec.depths, *spec.kernels) for spec in (larger, smaller))
    return all(a >= b for a, b in zip(mine, other, strict=True))

"""Sub-networks of a nested convolutional family as plain values: what they are, what they cost, how they vary.

A `Space` lists the choices; a `SubnetSpec` is one choice of each. Every dimension only ever grows, so the larger of
two sub-networks holds the smaller one's weights as the first channels, the first blocks and the centre of each
kernel. Needs no torch, so that a search may use it. The dimensions are those of once-for-all (Cai et al. 2020),
without its kernel transforms: with them a slice would no longer be the bytes of the larger network.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from components.core.errors import ConfigError

FAMILY = "convnet"
_BLOCK_KERNEL = 3  # of a block's second convolution, which is not elastic
_WIDTH_STEP = 8  # vector units like channels in eights


@dataclass(frozen=True, slots=True, kw_only=True)
class SubnetSpec:
    """One member: channels and blocks of each stage, kernel sides of the stem and of each stage, image side."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    size_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The choices of every dimension, ascending: of each stage's width and depth, of the kernel sides (the stem's
    first, then each stage's first convolutions), of the image side. ConfigError when they do not fit together."""

    num_classes: int
    widths: tuple[tuple[int, ...], ...]
    depths: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    sizes_px: tuple[int, ...]
    stem_stride: int = 1

    def __post_init__(self) -> None:
        stages = len(self.widths)
        if not stages or len(self.depths) != stages or len(self.kernels) != stages + 1:
            raise ConfigError(
                f"a space of {stages} widths needs as many depths and one kernel more (the stem's), got "
                f"{len(self.depths)} depths and {len(self.kernels)} kernels; give each stage its choices"
            )
        for name, choices in self.genes.items():
            if not choices or list(choices) != sorted(set(choices)) or choices[0] < 1:
                raise ConfigError(f"{name} has choices {choices}: give one or more positive numbers, ascending")
        if any(side % 2 == 0 for choices in self.kernels for side in choices):
            raise ConfigError(f"kernels {self.kernels} must be odd, so that a smaller one is the centre of a larger")
        self._check_sizes()
        if self.num_classes < 1:
            raise ConfigError(f"num_classes is {self.num_classes}, expected 1 or more")

    def _check_sizes(self) -> None:
        halvings = self.stem_stride * 2 ** (len(self.widths) - 1)
        odd = [size for size in self.sizes_px if size % halvings]
        if odd:
            raise ConfigError(
                f"image sides {odd} do not divide by {halvings}, by which this family shrinks images; "
                f"choose multiples of {halvings}"
            )

    @property
    def genes(self) -> dict[str, tuple[int, ...]]:
        """The choices of each gene by name: widths, then depths, then kernels, then the image side."""
        named = {f"width_{i}": choices for i, choices in enumerate(self.widths)}
        named |= {f"depth_{i}": choices for i, choices in enumerate(self.depths)}
        named |= {f"kernel_{i}": choices for i, choices in enumerate(self.kernels)}
        return {**named, "size_px": self.sizes_px}

    @property
    def choices(self) -> tuple[tuple[int, ...], ...]:
        """The choices of every gene, in order."""
        return tuple(self.genes.values())

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; `space_from_json` is the way back."""
        nested = ("widths", "depths", "kernels")
        plain = {name: [list(choices) for choices in getattr(self, name)] for name in nested}
        own = {"num_classes": self.num_classes, "sizes_px": list(self.sizes_px), "stem_stride": self.stem_stride}
        return {**plain, **own}


def space_around(
    architecture: Mapping[str, Any],
    *,
    sizes_px: Sequence[int],
    width_factor: float = 2.0,
    extra_depth: int = 1,
    wider: bool = False,
) -> Space:
    """A family whose smallest member is a given convnet: widths up to `width_factor` times, `extra_depth` blocks more.

    A factor of 2 is about four times the multiply-adds. With `wider` every member has more channels than the convnet,
    as growing around it needs. ConfigError for another family, and where that leaves no member.
    """
    if architecture.get("family") != FAMILY:
        raise ConfigError(
            f"a family can be laid around a '{FAMILY}', got '{architecture.get('family')}'; "
            "put a network of another family inside a grown one"
        )
    least = spec_of(architecture, size_px=min(sizes_px))
    widths = tuple(_widths_up_to(width, round(width * width_factor)) for width in least.widths)
    if wider and any(len(choices) == 1 for choices in widths):
        enough = max((width + 1) / width for width in least.widths)
        raise ConfigError(
            f"no network is wider in every stage than one of widths {list(least.widths)} and at most {width_factor} "
            f"times as wide; choose a width_factor of {math.ceil(100 * enough) / 100} or more"
        )
    return Space(
        num_classes=architecture["num_classes"],
        widths=tuple(choices[1:] for choices in widths) if wider else widths,
        depths=tuple(tuple(range(depth, depth + extra_depth + 1)) for depth in least.depths),
        kernels=tuple((side,) for side in least.kernels),
        sizes_px=tuple(sorted(sizes_px)),
        stem_stride=architecture.get("stem_stride", 1),
    )


def _widths_up_to(low: int, high: int) -> tuple[int, ...]:
    steps = range(low, high, max(_WIDTH_STEP, math.ceil((high - low) / 4 / _WIDTH_STEP) * _WIDTH_STEP))
    return (*(width for width in steps if width < high), high) if high > low else (low,)


def space_from_json(value: Mapping[str, Any]) -> Space:
    """A space from what `Space.to_json` gave; ConfigError when fields are missing or malformed."""
    try:
        nested = {name: tuple(tuple(c) for c in value[name]) for name in ("widths", "depths", "kernels")}
        return Space(
            num_classes=value["num_classes"],
            sizes_px=tuple(value["sizes_px"]),
            stem_stride=value["stem_stride"],
            **nested,
        )
    except (KeyError, TypeError) as error:
        raise ConfigError(
            f"a space needs num_classes, widths, depths, kernels, sizes_px, stem_stride: {error!r}"
        ) from error


def spec_of(architecture: Mapping[str, Any], *, size_px: int) -> SubnetSpec:
    """The spec of a convnet's architecture."""
    widths = tuple(architecture["widths"])
    return SubnetSpec(
        widths=widths,
        depths=tuple(architecture["blocks"]),
        kernels=tuple(architecture.get("kernels") or (3,) * (len(widths) + 1)),
        size_px=size_px,
    )


def architecture_of(space: Space, spec: SubnetSpec) -> dict[str, Any]:
    """The architecture of a member as an ordinary convnet that stands alone."""
    return {
        "family": FAMILY,
        "num_classes": space.num_classes,
        "widths": list(spec.widths),
        "blocks": list(spec.depths),
        "kernels": list(spec.kernels),
        "stem_stride": space.stem_stride,
    }


def smallest(space: Space) -> SubnetSpec:
    """The member that every other one contains."""
    return from_genes(space, [0] * len(space.choices))


def largest(space: Space) -> SubnetSpec:
    """The member that contains every other one."""
    return from_genes(space, [len(choices) - 1 for choices in space.choices])


def sample_spec(space: Space, rng: np.random.Generator) -> SubnetSpec:
    """One member, each choice equally likely."""
    return from_genes(space, [int(rng.integers(len(choices))) for choices in space.choices])


def to_genes(space: Space, spec: SubnetSpec) -> tuple[int, ...]:
    """The position of each of a member's values among the choices; ConfigError when it is not a member."""
    values = (*spec.widths, *spec.depths, *spec.kernels, spec.size_px)
    if len(values) != len(space.choices):
        raise ConfigError(f"{spec} has {len(values)} values, this space has {len(space.choices)} dimensions")
    genes = []
    for (name, choices), value in zip(space.genes.items(), values, strict=True):
        if value not in choices:
            raise ConfigError(f"{name} is {value}, which is not among the choices {choices}; choose one of them")
        genes.append(choices.index(value))
    return tuple(genes)


def from_genes(space: Space, genes: Sequence[int]) -> SubnetSpec:
    """The member at these positions among the choices."""
    values = [choices[gene] for choices, gene in zip(space.choices, genes, strict=True)]
    return _spec(values, stages=len(space.widths))


def to_genotype(space: Space, spec: SubnetSpec) -> dict[str, int]:
    """A member as the value of each named gene, for a search that knows nothing of networks."""
    return {name: c[gene] for (name, c), gene in zip(space.genes.items(), to_genes(space, spec), strict=True)}


def from_genotype(space: Space, genotype: Mapping[str, int | float | str]) -> SubnetSpec:
    """The member with these values of the named genes; ConfigError when it is not in the space."""
    if genotype.keys() != space.genes.keys():
        raise ConfigError(f"genes {sorted(genotype)} are not those of the space: {list(space.genes)}")
    spec = _spec([int(genotype[name]) for name in space.genes], stages=len(space.widths))
    to_genes(space, spec)
    return spec


def _spec(values: Sequence[int], *, stages: int) -> SubnetSpec:
    """The spec of one value a gene, in their order."""
    return SubnetSpec(
        widths=tuple(values[:stages]),
        depths=tuple(values[stages : 2 * stages]),
        kernels=tuple(values[2 * stages : -1]),
        size_px=values[-1],
    )


def multiply_adds(space: Space, spec: SubnetSpec) -> int:
    """Multiply-adds of one image through convolutions and the head, exact; batch norms and sums are not counted."""
    return sum(side * side * n_in * n_out * kernel * kernel for n_in, n_out, kernel, side in _layers(space, spec)) + (
        spec.widths[-1] * space.num_classes
    )


def num_parameters(space: Space, spec: SubnetSpec) -> int:
    """Trained parameters, exact: convolutions without bias, two a channel for each batch norm, the head."""
    convolutions = sum(n_out * (n_in * kernel * kernel + 2) for n_in, n_out, kernel, _ in _layers(space, spec))
    return convolutions + (spec.widths[-1] + 1) * space.num_classes


def _layers(space: Space, spec: SubnetSpec) -> Iterator[tuple[int, int, int, int]]:
    """Channels in and out, kernel side and output side of each convolution; a batch norm follows each."""
    side = -(-spec.size_px // space.stem_stride)
    num_in = spec.widths[0]
    yield 3, num_in, spec.kernels[0], side
    for stage, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
        if stage:
            side //= 2
            yield num_in, width, 1, side
        for block in range(depth):
            yield (width if block else num_in), width, spec.kernels[stage + 1], side
            yield width, width, _BLOCK_KERNEL, side
        num_in = width

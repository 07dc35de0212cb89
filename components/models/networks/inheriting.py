"""Starts a convnet as the very function of a smaller one, all of whose weights it goes on training.

What a larger network would add is zero where an old channel would read it: in the upper block of each layer, in the
head, in what a new block adds to the old channels. So the first logits are the smaller network's, up to the order of
sums, and training begins where that one ended. Net2Net (Chen et al. 2016) keeps the function by copying channels; zeros
leave the new ones free to differ. For what stays frozen see `growth` and `widening`.
"""

from __future__ import annotations

import torch
from torch import nn

from components.core.errors import ConfigError, IntegrityError
from components.models.artefacts import ModelSpec
from components.models.classes import match_classes
from components.models.networks.convnets import ConvNet, ResidualBlock
from components.models.networks.growth import Grown
from components.models.networks.slicing import share_weights


def inherit(network: nn.Module, spec: ModelSpec, *, old: nn.Module, old_spec: ModelSpec) -> None:
    """Make `network` answer as `old` does, in place, for the classes that both know; head rows of others stay as drawn.

    Of an old network that holds another, its new part is inherited. ConfigError, saying what differs, where the old
    one is no convnet, reads images normalised otherwise, or is wider or deeper somewhere.
    """
    source = old
    while isinstance(source, Grown):
        source = source.outer
    if not (isinstance(source, ConvNet) and isinstance(network, ConvNet)):
        raise ConfigError(
            f"a convnet starts from a convnet, not a {type(network).__name__} from {type(source).__name__}"
        )
    if (spec.mean, spec.std) != (old_spec.mean, old_spec.std):
        raise ConfigError(
            f"the champion reads images with mean {old_spec.mean} and std {old_spec.std}, this one others"
        )
    new_stem, old_stem = network.stem[0], source.stem[0]
    assert isinstance(new_stem, nn.Conv2d) and isinstance(old_stem, nn.Conv2d)
    if new_stem.stride != old_stem.stride:
        new_stride, old_stride = new_stem.stride[0], old_stem.stride[0]
        raise ConfigError(
            f"the champion's stem has stride {old_stride}, this candidate's {new_stride}; make them equal"
        )
    match = match_classes(old_spec.classes, spec.classes)
    try:
        _shut(network, source, known=[index for index, place in enumerate(match.old_of_new) if place >= 0])
        share_weights(network.state_dict(), source.state_dict(), rows=None if match.same else match.new_of_old)
    except IntegrityError as error:
        raise ConfigError(f"the champion does not fit into this candidate: {error}; give it wider layers") from error


@torch.no_grad()
def _shut(network: ConvNet, source: ConvNet, *, known: list[int]) -> None:
    """Zero in `network` all that would reach the old channels and the known classes, their own weights included."""
    if len(network.stages) != len(source.stages):
        raise ConfigError(f"the champion has {len(source.stages)} stages, this candidate {len(network.stages)}")
    layers = dict(source.named_modules())
    for name, module in network.named_modules():
        old = layers.get(name)
        if isinstance(module, nn.Conv2d) and isinstance(old, nn.Conv2d):
            module.weight[: old.out_channels] = 0.0
    network.head.weight[known] = 0.0
    for stage, old_stage in zip(network.stages, source.stages, strict=True):
        blocks, old_blocks = list(stage.children()), list(old_stage.children())
        if len(blocks) < len(old_blocks):
            raise ConfigError(f"the champion has {len(old_blocks)} blocks in a stage, this candidate {len(blocks)}")
        for block in blocks[len(old_blocks) :]:
            assert isinstance(block, ResidualBlock) and isinstance(old_blocks[-1], ResidualBlock)
            num_old = old_blocks[-1].norm2.num_features
            block.norm2.weight[:num_old] = 0.0
            block.norm2.bias[:num_old] = 0.0

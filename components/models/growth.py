"""Growth from an incumbent: a larger network that holds a frozen one inside and adds to its logits.

New channels read the old network's channels at every stage; old channels never read new ones and its
batch-norm statistics stay as they are, so the old network's outputs inside are bit-identical to it alone.
`gain` scales what the new part adds: 0 is the incumbent, 1 is all that was learned. The idea of a larger
model that contains the smaller one's weights is REG-NAS's (ECCV 2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from components.models.convnets import ConvNet


class Grown(nn.Module):
    """An incumbent (frozen) inside, a new network around it; logits are old + gain * new."""

    gain: Tensor

    def __init__(
        self, inner: nn.Module, *, num_classes: int, widths: Sequence[int], blocks: Sequence[int], stem_stride: int
    ) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.outer = ConvNet(
            num_classes=num_classes, widths=widths, blocks=blocks, stem_stride=stem_stride, context=stage_widths(inner)
        )
        nn.init.zeros_(self.outer.head.weight)  # starts as the incumbent, to the bit
        nn.init.zeros_(self.outer.head.bias)
        self.register_buffer("gain", torch.ones(()))

    def train(self, mode: bool = True) -> Grown:
        """Switch the new part only: the incumbent's batch norms never learn."""
        super().train(mode)
        self.inner.eval()
        return self

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the incumbent and what the new part adds to them, each [N, num_classes]."""
        with torch.no_grad():
            maps, old = stage_maps(self.inner, x)
        added = self.outer.classify(self.outer.stage_outputs(x, context=maps)[-1])
        return old, added

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S]."""
        old, added = self.parts(x)
        return old + self.gain * added


def stage_widths(network: nn.Module) -> list[int]:
    """How many channels each stage of a network offers to one that grows around it."""
    if isinstance(network, Grown):
        inner = stage_widths(network.inner)
        own = _own_widths(network.outer)
        return [a + b for a, b in zip(own, inner, strict=True)]
    if isinstance(network, ConvNet):
        return _own_widths(network)
    raise TypeError(f"cannot grow around a {type(network).__name__}; grow around a convnet or a grown network")


def _own_widths(network: ConvNet) -> list[int]:
    return [stage[-1].conv2.out_channels for stage in network.stages]  # type: ignore[index]


def stage_maps(network: nn.Module, x: Tensor) -> tuple[list[Tensor], Tensor]:
    """A network's feature maps after each stage, and its logits."""
    if isinstance(network, Grown):
        maps, old = stage_maps(network.inner, x)
        outputs = network.outer.stage_outputs(x, context=maps)
        return outputs, old + network.gain * network.outer.classify(outputs[-1])
    assert isinstance(network, ConvNet)
    outputs = network.stage_outputs(x)
    return outputs, network.classify(outputs[-1])

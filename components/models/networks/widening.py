"""Growth around an incumbent, channel by channel: new channels read old and new ones, old ones read only old.

Every layer's weights are block-triangular (Net2Wider would mix them; here the upper block is not there at all). The
old channels run through the incumbent's own modules in its own shapes, so its logits come out bit-identical to it
alone, batch-norm statistics included, whatever the new weights are. A head of the new part's own reads all channels;
which of the two answers is decided as in `growth`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from components.models.foreign.adapters import Adapted
from components.models.networks.convnets import ConvNet, ResidualBlock
from components.models.networks.growth import Grown


class WideningBlock(nn.Module):
    """The new channels of one residual block, beside an old block or, where the new part is deeper, alone."""

    def __init__(self, old: ResidualBlock | None, num_old: int, num_new: tuple[int, int], *, kernel: int) -> None:
        super().__init__()
        num_in, num_out = num_new
        stride = old.conv1.stride[0] if old is not None else 1
        num_read = num_old + num_in
        num_hidden = old.conv1.out_channels if old is not None else 0
        self.conv1 = nn.Conv2d(num_read, num_out, kernel, stride, kernel // 2, bias=False)
        self.norm1 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_hidden + num_out, num_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(num_out)
        self.shortcut: nn.Module | None = None
        if stride > 1:
            self.shortcut = nn.Sequential(
                nn.AvgPool2d(stride), nn.Conv2d(num_read, num_out, 1, bias=False), nn.BatchNorm2d(num_out)
            )

    def forward(self, old: Tensor, new: Tensor, old_hidden: Tensor | None) -> Tensor:
        """The new channels after the block, from old and new ones before it and the old block's hidden ones."""
        both = torch.cat([old, new], dim=1)
        hidden = F.relu(self.norm1(self.conv1(both)))
        if old_hidden is not None:
            hidden = torch.cat([old_hidden, hidden], dim=1)
        kept = new if self.shortcut is None else self.shortcut(both)
        return F.relu(self.norm2(self.conv2(hidden)) + kept)


class Widening(nn.Module):
    """All that is new: stem, blocks and head. `widths` and `blocks` count old and new together."""

    def __init__(
        self, core: ConvNet, *, num_classes: int, widths: Sequence[int], blocks: Sequence[int], kernels: Sequence[int]
    ) -> None:
        super().__init__()
        stem = core.stem[0]
        assert isinstance(stem, nn.Conv2d)
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0] - stem.out_channels, kernels[0], stem.stride[0], kernels[0] // 2, bias=False),
            nn.BatchNorm2d(widths[0] - stem.out_channels),
            nn.ReLU(),
        )
        self.stages = nn.Sequential()
        num_old, num_new = stem.out_channels, widths[0] - stem.out_channels
        for old, width, depth, kernel in zip(_stages(core), widths, blocks, kernels[1:], strict=True):
            num_after = width - old[-1].conv2.out_channels
            stage = nn.Sequential()
            for index in range(depth):
                beside = old[index] if index < len(old) else None
                stage.append(WideningBlock(beside, num_old, (num_new, num_after), kernel=kernel))
                num_old, num_new = width - num_after, num_after
            self.stages.append(stage)
        self.head = nn.Linear(num_old + num_new, num_classes)


class Widened(Grown):
    """A frozen convnet and the channels grown around it; `threshold` as in `Grown`.

    ValueError when the new part has no channel or fewer blocks somewhere, or the incumbent is no convnet that reads
    the image as it comes.
    """

    outer: Widening

    def __init__(
        self,
        inner: nn.Module,
        *,
        num_classes: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        kernels: Sequence[int],
    ) -> None:
        core = _core(inner)
        old = [(stage[-1].conv2.out_channels, len(stage)) for stage in _stages(core)]
        if len(old) != len(widths) or any(
            width <= o or depth < d for (o, d), width, depth in zip(old, widths, blocks, strict=True)
        ):
            raise ValueError(
                f"widths {list(widths)} and blocks {list(blocks)} must exceed, and not fall below, the incumbent's "
                f"{[o for o, _ in old]} and {[d for _, d in old]}"
            )
        shape = {"num_classes": num_classes, "widths": widths, "blocks": blocks, "kernels": kernels}
        super().__init__(inner, Widening(core, **shape))  # type: ignore[arg-type]

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the incumbent and of the new part, each [N, num_classes]."""
        core = _core(self.inner)
        with torch.no_grad():
            old = core.stem(x)
        new = self.outer.stem(x)
        for old_stage, new_stage in zip(_stages(core), self.outer.stages, strict=True):
            for index, block in enumerate(new_stage.children()):
                hidden, following = _old_block(old_stage, index, old)
                new, old = block(old, new, hidden), following
        features = old.mean(dim=(2, 3))
        with torch.no_grad():
            logits = core.head(features)
            if isinstance(self.inner, Adapted):
                logits = self.inner.relabelled(logits)
        return logits, self.outer.head(torch.cat([features, new.mean(dim=(2, 3))], dim=1))


@torch.no_grad()
def _old_block(stage: list[ResidualBlock], index: int, old: Tensor) -> tuple[Tensor | None, Tensor]:
    """The incumbent's hidden channels and output; nothing hidden, and the same channels, past its last block."""
    if index >= len(stage):
        return None, old
    hidden = stage[index].hidden(old)
    return hidden, stage[index].output(hidden, old)


def _stages(core: ConvNet) -> list[list[ResidualBlock]]:
    return [[block for block in stage.children() if isinstance(block, ResidualBlock)] for stage in core.stages]


def _core(inner: nn.Module) -> ConvNet:
    core = inner.inner if isinstance(inner, Adapted) and inner.reads_as_given else inner
    if not isinstance(core, ConvNet):
        raise ValueError(
            f"only a convnet that reads images of the new network's size and normalisation can be widened, got "
            f"{type(core).__name__}; grow beside it instead (family 'grown')"
        )
    return core

"""The convolutional family: small residual networks that train on a laptop's cores.

A network is described by a plain dict (its architecture), so that an artefact needs no pickled class.
Shapes: input float [N, 3, S, S] normalised, output logits [N, num_classes].
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import ConfigError


class ResidualBlock(nn.Module):
    """Two convolutions with batch norm around a shortcut (He et al. 2016); halves the side at stride 2."""

    def __init__(self, num_in: int, num_out: int, *, stride: int, kernel: int = 3) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_in, num_out, kernel, stride, kernel // 2, bias=False)
        self.norm1 = nn.BatchNorm2d(num_out)
        self.conv2 = nn.Conv2d(num_out, num_out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(num_out)
        same = stride == 1 and num_in == num_out
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(
                nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
                nn.Conv2d(num_in, num_out, 1, bias=False),
                nn.BatchNorm2d(num_out),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map [N, num_in, H, W] to [N, num_out, H / stride, W / stride]."""
        return self.output(self.hidden(x), x)

    def hidden(self, x: Tensor) -> Tensor:
        """The first half: what lies between the two convolutions."""
        return F.relu(self.norm1(self.conv1(x)))

    def output(self, hidden: Tensor, x: Tensor) -> Tensor:
        """The second half, with the shortcut from the block's input."""
        return F.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))


class ConvNet(nn.Module):
    """A stem, one stage of residual blocks per width, the mean over space, a linear layer.

    `kernels` are the sides of the stem and of each stage's first convolutions, odd; 3 where not given. ConfigError
    names what no network can be built from.
    """

    def __init__(
        self,
        *,
        num_classes: int,
        widths: Sequence[int],
        blocks: Sequence[int],
        stem_stride: int = 1,
        kernels: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        kernels = kernels or default_kernels(len(widths))
        _check_stages(widths, blocks, kernels)
        stem_side, *sides = kernels
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], stem_side, stem_stride, stem_side // 2, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.ReLU(),
        )
        self.stages = nn.Sequential()
        num_in = widths[0]
        for index, (width, depth, side) in enumerate(zip(widths, blocks, sides, strict=True)):
            first = ResidualBlock(num_in, width, stride=1 if index == 0 else 2, kernel=side)
            rest = (ResidualBlock(width, width, stride=1, kernel=side) for _ in range(depth - 1))
            self.stages.append(nn.Sequential(first, *rest))
            num_in = width
        self.head = nn.Linear(num_in, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S]."""
        last: Tensor = self.stages(self.stem(x))
        logits: Tensor = self.head(last.mean(dim=(2, 3)))
        return logits


def default_kernels(num_stages: int) -> tuple[int, ...]:
    """The sides of the stem's convolution and of each stage's where an architecture names none."""
    return (3,) * (num_stages + 1)


def _check_stages(widths: Sequence[int], blocks: Sequence[int], kernels: Sequence[int]) -> None:
    for name, values in (("widths", widths), ("blocks", blocks), ("kernels", kernels)):
        if not values or not all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in values):
            raise ConfigError(
                f"{name} of a convnet is {list(values)}, allowed are whole numbers from 1; give each stage its own"
            )
    stages = len(widths)
    if len(blocks) != stages or len(kernels) != stages + 1:
        raise ConfigError(
            f"a convnet of widths {list(widths)} has blocks {list(blocks)} and kernels {list(kernels)}; give "
            f"{stages} blocks, one a width, and {stages + 1} kernels, the stem's first"
        )
    if any(side % 2 == 0 for side in kernels):
        raise ConfigError(f"kernels of a convnet is {list(kernels)}, allowed are odd sides, such as 3")

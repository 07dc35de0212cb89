"""Growth around an incumbent: a larger network that holds a frozen one whole and lets a new part outvote it.

The new part answers only where it is surer of its own class than of the incumbent's by more than a threshold;
everywhere else the incumbent's logits come out, bit-identical to it alone. Old channels never read new ones, nor new
ones the old: a new part that reads the incumbent's features leans on them and learns less than one beside it. The
idea of a larger model that contains the smaller one's weights is REG-NAS's (ECCV 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Grown(nn.Module):
    """An incumbent (frozen) and a new network; `threshold` 1 is the incumbent, 0 the new part wherever it differs."""

    threshold: Tensor

    def __init__(self, inner: nn.Module, outer: nn.Module) -> None:
        super().__init__()
        self.inner = inner.requires_grad_(False)
        self.outer = outer
        self.register_buffer("threshold", torch.ones(()))

    def train(self, mode: bool = True) -> Grown:
        """Switch the new part only: the incumbent's batch norms never learn."""
        super().train(mode)
        self.inner.eval()
        return self

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the incumbent and of the new part, each [N, num_classes]."""
        with torch.no_grad():
            old = self.inner(x)
        return old, self.outer(x)

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S]."""
        old, new = self.parts(x)
        return torch.where(margins(old, new)[:, None] > self.threshold, new, old)


def margins(old: Tensor, new: Tensor) -> Tensor:
    """How much surer the new part is of its class than of the incumbent's, as probability, [N] in 0..1."""
    probabilities = new.float().softmax(dim=1)
    kept = probabilities.gather(1, old.argmax(dim=1, keepdim=True))[:, 0]
    return probabilities.amax(dim=1) - kept

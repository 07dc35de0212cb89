"""Merges an incumbent's answer with a new network's, and leaves the incumbent's only where the evidence is clear.

The evidence is the weighted mean of both networks' log-probabilities (a logarithmic opinion pool: two networks that
err apart are right more often together). The cost of a negative flip enters as a bias: with posterior p and a flip
weighing mu times an error, leaving the incumbent's class o for c is right exactly where p(c) > (1 + mu) p(o), so
`bias` = log(1 + mu) is added to the incumbent's class (Elkan 2001 on costs; Traeuble et al. 2021 on updates of
predictions by posterior). Both parts run: the cost of an answer is the sum of theirs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from components.models.networks.growth import Grown


class Merged(Grown):
    """An incumbent (frozen) and a new network; `share` is the incumbent's weight, `bias` its head start in nats.

    share 1 is the incumbent, share 0 with bias 0 the new part; a large bias is the incumbent's class everywhere.
    """

    share: Tensor
    bias: Tensor

    def __init__(self, inner: nn.Module, outer: nn.Module) -> None:
        super().__init__(inner, outer)
        self.register_buffer("share", torch.ones(()))
        self.register_buffer("bias", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] of images [N, 3, S, S]."""
        old, new = self.parts(x)
        pooled = pool(old, new, self.share)
        kept = old.argmax(dim=1, keepdim=True)
        return pooled.scatter_add(1, kept, self.bias.expand(kept.shape))


def pool(old: Tensor, new: Tensor, share: Tensor | float) -> Tensor:
    """The weighted mean of two networks' log-probabilities, logits [N, C] in and out, in float32."""
    return share * old.float().log_softmax(dim=1) + (1 - share) * new.float().log_softmax(dim=1)

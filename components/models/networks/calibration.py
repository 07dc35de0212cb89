"""Gives a sub-network batch-norm statistics of its own, except those that it inherited from a frozen incumbent.

A slice of a supernet sees other activations than the whole, so the whole's running means do not fit it (Yu and Huang
2019, universally slimmable networks). An incumbent's statistics are part of its function and stay as they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from components.core.errors import DataError
from components.models.networks.growth import Grown


def calibrate(network: nn.Module, images: Tensor, *, batch: int = 256) -> int:
    """Re-estimate the running means and variances from normalised images [N, 3, S, S]; returns how many norms.

    A few hundred training images are enough. The network ends in eval mode. DataError for fewer than two images.
    """
    norms = _own_norms(network)
    if len(images) < 2:
        raise DataError(f"calibration got {len(images)} images, a variance needs at least 2; give some hundreds")
    network.eval()
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # average over batches instead of following the latest
        norm.train()
    with torch.no_grad():
        for part in images.tensor_split(-(-len(images) // batch)):
            network(part)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
    return len(norms)


def resized(images: Tensor, size_px: int) -> Tensor:
    """Images [N, 3, S, S] at another side, antialiased; the same tensor when the side is right already."""
    if images.shape[-1] == size_px:
        return images
    return F.interpolate(images, size=(size_px, size_px), mode="bilinear", antialias=True, align_corners=False)


def _own_norms(network: nn.Module) -> list[_BatchNorm]:
    frozen = {id(part) for module in network.modules() if isinstance(module, Grown) for part in module.inner.modules()}
    found = [m for m in network.modules() if isinstance(m, _BatchNorm) and id(m) not in frozen]
    return [norm for norm in found if norm.track_running_stats]

"""Batched prediction: uint8 pixels in, probabilities out; the same code evaluates and serves."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.models.artefacts import LoadedModel, ModelSpec

BATCH = 128


def predict(model: LoadedModel, pixels: NDArray[np.uint8], *, batch: int = BATCH) -> NDArray[np.float32]:
    """Probabilities [N, num_classes] in float32 of uint8 RGB images [N, S, S, 3]."""
    return softmax(predict_logits(model.network, model.spec, pixels, batch=batch))


def predict_logits(
    network: nn.Module, spec: ModelSpec, pixels: NDArray[np.uint8], *, batch: int = BATCH
) -> NDArray[np.float32]:
    """Logits [N, num_classes] in float32; the network is put into eval mode, where it lies, and stays there."""
    network.eval()
    device = device_of(network)
    outputs = np.empty((len(pixels), len(spec.classes)), np.float32)
    with torch.inference_mode():
        for start in range(0, len(pixels), batch):
            images = normalise(torch.from_numpy(np.array(pixels[start : start + batch])).to(device), spec)
            outputs[start : start + batch] = network(images).float().cpu().numpy()
    return outputs


def device_of(network: nn.Module) -> torch.device:
    """Where a network's tensors lie; the CPU for one that has none."""
    first = next(itertools.chain(network.parameters(), network.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def normalise(pixels: Tensor, spec: ModelSpec) -> Tensor:
    """Turn uint8 [N, S, S, 3] into float32 [N, 3, S, S], normalised."""
    return normalise_planes(pixels.permute(0, 3, 1, 2).float(), spec)


def normalise_planes(images: Tensor, spec: ModelSpec) -> Tensor:
    """Normalise float32 [N, 3, S, S] on 0..255 by the spec's mean and standard deviation."""
    mean = torch.tensor(spec.mean, dtype=torch.float32).mul(255).view(1, 3, 1, 1)
    scale = torch.tensor(spec.std, dtype=torch.float32).mul(255).reciprocal().view(1, 3, 1, 1)
    return (images - mean.to(images.device)) * scale.to(images.device)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities from logits, along the last axis."""
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)

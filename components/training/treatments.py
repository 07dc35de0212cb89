"""Treatments against negative flips: how a grown network learns, and how much of what it learned is let through.

The new part learns by its own cross-entropy; afterwards the threshold of the switch between it and the incumbent is
tuned: the most accurate on the search split whose flip rate there is within a target. On top, focal distillation (Yan
et al. 2021, Positive-Congruent Training): the mean over images of (ALPHA + BETA * [old right]) * 0.5 * mean squared
logit difference. Adding both logits instead of switching between them was tried first: at equal flips it gained less.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.progress import track
from components.models.artefacts import ModelSpec
from components.models.growth import Grown, margins
from components.models.prediction import normalise

ALPHA, BETA = 1.0, 5.0
THRESHOLDS = np.round(np.arange(1.0, -0.001, -0.01), 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainLoss:
    """Cross-entropy against class probabilities, smoothed."""

    label_smoothing: float

    def __call__(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch: images [B, 3, S, S], targets [B, C]."""
        return F.cross_entropy(network(images).float(), targets, label_smoothing=self.label_smoothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainedLoss:
    """Cross-entropy of the new part alone, plus its focal distance to the incumbent's logits."""

    label_smoothing: float
    weight: float

    def __call__(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch: images [B, 3, S, S], targets [B, C]."""
        assert isinstance(network, Grown)
        if not self.weight:
            return F.cross_entropy(network.outer(images).float(), targets, label_smoothing=self.label_smoothing)
        old, new = network.parts(images)
        loss = F.cross_entropy(new.float(), targets, label_smoothing=self.label_smoothing)
        return loss + self.weight * focal_distance(old.float(), new.float(), targets)


def focal_distance(old: Tensor, new: Tensor, targets: Tensor) -> Tensor:
    """Mean over images of (ALPHA + BETA * [old right]) * 0.5 * mean squared difference of logits [B, C]."""
    right = (old.argmax(dim=1) == targets.argmax(dim=1)).float()
    distance = 0.5 * (new - old).square().mean(dim=1)
    return ((ALPHA + BETA * right) * distance).mean()


def tune_threshold(
    network: Grown, spec: ModelSpec, pixels: NDArray[np.uint8], labels: NDArray[np.int64], *, flip_target: float
) -> float:
    """Set and return the threshold that is most accurate on these images with a flip rate of at most `flip_target`.

    Threshold 1 flips nothing, so there is always an answer; ties go to the higher threshold.
    """
    old, new, margin = _all_parts(network, spec, pixels)
    was_right = old == labels
    best, best_right = 1.0, int(was_right.sum())
    for threshold in THRESHOLDS:
        right = np.where(margin > threshold, new, old) == labels
        flips = int(np.sum(was_right & ~right))
        if flips <= flip_target * len(labels) and int(right.sum()) > best_right:
            best, best_right = float(threshold), int(right.sum())
    network.threshold.fill_(best)
    return best


@torch.inference_mode()
def _all_parts(
    network: Grown, spec: ModelSpec, pixels: NDArray[np.uint8], *, batch: int = 128
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """The classes that the incumbent and the new part choose, and the margins, each [N]."""
    network.eval()
    columns: list[list[NDArray[np.generic]]] = [[], [], []]
    for start in track(range(0, len(pixels), batch), "tuning the threshold"):
        old, new = network.parts(normalise(torch.from_numpy(np.array(pixels[start : start + batch])), spec))
        for column, values in zip(columns, (old.argmax(1), new.argmax(1), margins(old, new)), strict=True):
            column.append(values.numpy())
    olds, news, found = (np.concatenate(column) for column in columns)
    return olds.astype(np.int64), news.astype(np.int64), found.astype(np.float32)

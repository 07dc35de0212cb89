"""Tunes on the search split how much of what a new part learned is let through to the user.

A grown network's threshold, and a merged one's share and bias, are chosen to be the most accurate whose flip rate is
within a target. Both come from few numbers and many images, so the search split is not fitted closely; its accuracy and
flips are still a little flattered, and only the certify split judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.core.progress import track
from components.models.artefacts import ModelSpec
from components.models.networks.growth import Grown, margins
from components.models.networks.merging import Merged, pool
from components.models.prediction import normalise
from components.training.batches import LabelledPixels

THRESHOLDS = np.round(np.arange(1.0, -0.001, -0.01), 2)
SHARES = tuple(round(0.1 * step, 1) for step in range(10))


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SwitchPoints:
    """All distinct ways to merge, one a row: share and bias [P], and what they give: numbers right and flipped [P]."""

    share: NDArray[np.float64]
    bias: NDArray[np.float64]
    num_right: NDArray[np.int64]
    num_flips: NDArray[np.int64]

    def most_accurate(self, *, max_flips: float) -> int:
        """The row with most right answers among those with at most `max_flips`; ties go to fewer flips.

        Where all flip more, as may be when the champion reads larger images, those with fewest flips are compared.
        """
        allowed = np.flatnonzero(self.num_flips <= max(max_flips, int(self.num_flips.min())))
        return int(allowed[np.lexsort((self.num_flips[allowed], -self.num_right[allowed]))[0]])


def most_accurate(right: NDArray[np.bool_], was_right: NDArray[np.bool_], *, flip_target: float) -> int:
    """Of ways to answer, one a row of `right` [P, N], the most accurate with a flip rate of at most `flip_target`.

    `was_right` [N] is the champion's. Ties go to the first; where all flip more, those with fewest flips are compared.
    """
    num_right, flips = right.sum(axis=1), (was_right & ~right).sum(axis=1)
    allowed = flips <= max(flip_target * len(was_right), int(flips.min()))
    return int(np.argmax(np.where(allowed, num_right, -1)))


def tune_threshold(
    network: Grown, spec: ModelSpec, images: LabelledPixels, was_right: NDArray[np.bool_], *, flip_target: float
) -> float:
    """Set and return the threshold that is most accurate on these images with a flip rate of at most `flip_target`.

    `was_right` [N] is the champion's, at the side that it reads. Threshold 1 answers as the network's copy of it does;
    ties go to the higher threshold.
    """
    logits = both_logits(network, spec, images.pixels)
    old, new = (part.argmax(axis=1) for part in logits)
    margin = margins(torch.from_numpy(logits[0]), torch.from_numpy(logits[1])).numpy()
    right = np.stack([np.where(margin > threshold, new, old) == images.labels for threshold in THRESHOLDS])
    best = float(THRESHOLDS[most_accurate(right, was_right, flip_target=flip_target)])
    network.threshold.fill_(best)
    return best


def tune_merging(
    network: Merged, spec: ModelSpec, images: LabelledPixels, was_right: NDArray[np.bool_], *, flip_target: float
) -> tuple[float, float]:
    """Set and return the share and the bias that are most accurate here with a flip rate of at most `flip_target`.

    `was_right` [N] is the champion's, at the side that it reads.
    """
    points = switch_points(*both_logits(network, spec, images.pixels), images.labels, was_right=was_right)
    best = points.most_accurate(max_flips=flip_target * len(images))
    network.share.fill_(float(points.share[best]))
    network.bias.fill_(float(points.bias[best]))
    return float(points.share[best]), float(points.bias[best])


def switch_points(
    old: NDArray[np.float32],
    new: NDArray[np.float32],
    labels: NDArray[np.int64],
    *,
    was_right: NDArray[np.bool_],
    shares: Sequence[float] = SHARES,
) -> SwitchPoints:
    """Every outcome that a bias can give, for each share, from logits [N, C] of both and class indices [N].

    `was_right` [N] is the champion's. The pooled class replaces the incumbent's where its lead is above the bias, so
    that in order of falling lead each outcome is a prefix, and all of them come out of one cumulative sum.
    """
    tensors = torch.from_numpy(old), torch.from_numpy(new)
    parts = [_outcomes(pool(*tensors, share).numpy(), old.argmax(axis=1), labels, was_right) for share in shares]
    return SwitchPoints(
        share=np.repeat(np.asarray(shares, np.float64), [len(bias) for bias, _, _ in parts]),
        bias=np.concatenate([bias for bias, _, _ in parts]),
        num_right=np.concatenate([right for _, right, _ in parts]),
        num_flips=np.concatenate([flips for _, _, flips in parts]),
    )


def _outcomes(
    pooled: NDArray[np.float32],
    kept: NDArray[np.int64],
    labels: NDArray[np.int64],
    was_right: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    rows = np.arange(len(labels))
    chosen = pooled.argmax(axis=1)
    lead = (pooled[rows, chosen] - pooled[rows, kept]).astype(np.float64)
    order = np.flatnonzero(chosen != kept)
    order = order[np.argsort(-lead[order], kind="stable")]
    kept_right = kept == labels
    gained = (chosen == labels).astype(np.int64) - kept_right  # by taking the pooled class: 1, 0 or -1
    right = kept_right.sum() + np.concatenate([[0], np.cumsum(gained[order])])
    flips = np.sum(was_right & ~kept_right) - np.concatenate([[0], np.cumsum((was_right * gained)[order])])
    leads = lead[order]
    bias = np.concatenate([[2 * leads[0] + 1.0], (leads[:-1] + leads[1:]) / 2, [0.0]]) if len(leads) else np.ones(1)
    ends = np.concatenate([[True], leads[:-1] > leads[1:], [True]]) if len(leads) else np.ones(1, bool)
    return bias[ends], right[ends].astype(np.int64), flips[ends].astype(np.int64)


@torch.inference_mode()
def both_logits(
    network: Grown, spec: ModelSpec, pixels: NDArray[np.uint8], *, batch: int = 128
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The logits [N, C] of the incumbent and of the new part on uint8 images [N, S, S, 3]."""
    network.eval()
    found: tuple[list[NDArray[np.float32]], list[NDArray[np.float32]]] = ([], [])
    for start in track(range(0, len(pixels), batch), "tuning the switch"):
        parts = network.parts(normalise(torch.from_numpy(np.array(pixels[start : start + batch])), spec))
        for column, logits in zip(found, parts, strict=True):
            column.append(logits.float().numpy())
    return np.concatenate(found[0]), np.concatenate(found[1])


def let_new_part_through(network: nn.Module) -> None:
    """Score the new part alone while it learns."""
    if isinstance(network, Merged):
        network.share.fill_(0.0)
    if isinstance(network, Grown):
        network.threshold.fill_(0.0)

"""Trains a nested family at once: in every step the largest member, the smallest and some drawn at random.

The sandwich rule and in-place distillation are those of Yu and Huang 2019 (universally slimmable networks) and BigNAS
(Yu et al. 2020): the largest member learns from the labels, by whatever loss a recipe says, and its probabilities
teach the others. All that `fitting.fit` promises holds: bf16, averaged weights, going on bit for bit after a kill.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import ConfigError, DataError
from components.models.artefacts import ModelSpec
from components.models.networks.calibration import calibrate, resized
from components.models.networks.subnets import Space, SubnetSpec, largest, sample_spec, smallest
from components.models.networks.supernets import Supernet, extract
from components.models.prediction import normalise, predict_logits
from components.training.answers import resized_pixels
from components.training.batches import LabelledPixels, TrainingData
from components.training.fitting import FitOptions, FitSummary, Loss, StatefulLoss, fit

NUM_CALIBRATION = 512
MIN_PHOTOS = 64  # statistics of fewer are too noisy to stand alone


@dataclass(frozen=True, slots=True, kw_only=True)
class SandwichLoss:
    """The largest member's own loss, and of each other member the cross-entropy to the largest one's probabilities.

    `first` is called with a stand-in for the largest member. One random member a step makes the family cost about
    twice its largest member; `num_random` more sharpen the middle of the family.
    """

    space: Space
    first: Loss
    num_random: int = 1

    def __call__(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The mean loss over members for a batch: images [B, 3, S, S], targets [B, C]."""
        assert isinstance(network, Supernet)
        whole = _Remembering(network)
        losses = [self.first(whole, images, targets)]
        probabilities = whole.logits.detach().float().softmax(dim=1)
        for spec in self._others():
            losses.append(F.cross_entropy(network.trained_logits(images, spec).float(), probabilities))
        return torch.stack(losses).mean()

    def end_epoch(self) -> None:
        """Called after each epoch: the largest member's loss may learn from it."""
        if isinstance(self.first, StatefulLoss):
            self.first.end_epoch()

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of this loss."""
        return self.first.state() if isinstance(self.first, StatefulLoss) else {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up where a checkpoint stood."""
        if isinstance(self.first, StatefulLoss):
            self.first.restore(state)

    def _others(self) -> Iterator[SubnetSpec]:
        """Drawn from torch's generator, which each epoch seeds, so that a resumed run draws the same."""
        low, high = smallest(self.space), largest(self.space)
        if low == high:
            return
        yield low
        rng = np.random.default_rng(int(torch.randint(2**62, ())))
        for _ in range(self.num_random):
            yield sample_spec(self.space, rng)


class _Remembering(nn.Module):
    """The largest member as a network, whose last logits stay at hand."""

    logits: Tensor

    def __init__(self, supernet: Supernet) -> None:
        super().__init__()
        self._supernet = [supernet]  # in a list: it is not this module's child

    def forward(self, x: Tensor) -> Tensor:
        self.logits = self._supernet[0].trained_logits(x)
        return self.logits


@dataclass(slots=True, kw_only=True)
class MemberBench:
    """Makes members ready and asks them: extraction, calibration on `calibration`, logits on `images`.

    Both are at the family's largest side; smaller copies are made once.
    """

    spec: ModelSpec
    calibration: Tensor
    images: LabelledPixels
    _by_size: dict[int, NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def member(self, supernet: Supernet, chosen: SubnetSpec) -> tuple[nn.Module, ModelSpec]:
        """A member that stands alone, with statistics of its own, and its spec for the artefact."""
        network, architecture = extract(supernet, chosen)
        calibrate(network, resized(self.calibration, chosen.size_px))
        return network, replace(self.spec, architecture=architecture, size_px=chosen.size_px)

    def logits(self, network: nn.Module, spec: ModelSpec) -> NDArray[np.float32]:
        """Logits [N, num_classes] of a member on the images, at its own side."""
        if spec.size_px not in self._by_size:
            self._by_size[spec.size_px] = resized_pixels(self.images.pixels, spec.size_px)
        return predict_logits(network, spec, self._by_size[spec.size_px])

    def accuracy(self, supernet: Supernet, chosen: SubnetSpec) -> float:
        """A member's share of right answers on the images."""
        guesses = self.logits(*self.member(supernet, chosen)).argmax(axis=1)
        return float(np.mean(guesses == self.images.labels))


def fit_family(
    supernet: Supernet,
    data: TrainingData,
    *,
    bench: MemberBench,
    options: FitOptions,
    loss: SandwichLoss,
    checkpoint: Path,
) -> FitSummary:
    """Train a supernet in place; the score of an epoch is the mean accuracy of its largest and smallest member.

    ConfigError when the images are not of the family's largest side.
    """
    side, wanted = int(bench.calibration.shape[-1]), largest(supernet.space).size_px
    if side != wanted:
        raise ConfigError(f"the images are of {side} px, this family's largest side is {wanted} px; set size_px to it")
    ends = {smallest(supernet.space), largest(supernet.space)}

    def score(network: nn.Module) -> float:
        assert isinstance(network, Supernet)
        return float(np.mean([bench.accuracy(network, spec) for spec in sorted(ends, key=repr)]))

    summary = fit(supernet, data, bench.spec, options=options, loss=loss, score=score, checkpoint=checkpoint)
    supernet.restore_kept()
    return summary


def calibration_images(data: TrainingData, spec: ModelSpec, *, num: int = NUM_CALIBRATION) -> Tensor:
    """Normalised training images [N, 3, S, S], at most `num`, evenly spaced over photos and, where these are few,
    over synthetic images. DataError for fewer than 2 in all."""
    few = len(data.photos) < MIN_PHOTOS
    parts = [data.photos, *([data.synthetic] if few else [])]
    chosen = [_spread_over(part, num) for part in parts if len(part)]
    pixels = np.concatenate(chosen)[:num] if chosen else np.empty((0, 1, 1, 3), np.uint8)
    if len(pixels) < 2:
        raise DataError(f"calibration needs at least 2 training images, got {len(pixels)}")
    return normalise(torch.from_numpy(pixels), spec)


def _spread_over(images: LabelledPixels, num: int) -> NDArray[np.uint8]:
    chosen = np.unique(np.linspace(0, len(images) - 1, num).astype(np.int64))
    return np.array(images.pixels[chosen])

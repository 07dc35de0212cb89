"""Fits one network: mixed precision, averaged weights, checkpoints after every epoch, early stopping.

A run killed at any moment goes on from its last finished epoch and ends bit-identical to an unbroken one on
the same processor: every epoch's randomness is seeded by (seed, epoch) and the checkpoint holds all state.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from components.core.progress import track
from components.models.artefacts import ModelSpec
from components.models.prediction import device_of, normalise_planes
from components.training.batches import Augmentation, AugmentationRanges, TrainingData
from components.training.checkpoints import load_checkpoint, save_checkpoint
from components.training.config import Device, Precision
from components.training.devices import choose_device, uses_bf16

log = logging.getLogger(__name__)
AVERAGE_DECAY = 0.99
WARMUP_SHARE = 0.1
PLAIN_TAIL = 0.15  # the last epochs see unmixed images, as the model will in use

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]
Score = Callable[[nn.Module], float]


@runtime_checkable
class StatefulLoss(Protocol):
    """A loss that learns from each epoch; its state is part of every checkpoint."""

    def end_epoch(self) -> None:
        """Called once after each epoch, before the checkpoint."""

    def state(self) -> dict[str, Tensor]:
        """What the next epoch depends on."""

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up where a checkpoint stood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How to fit: `batch` images a step, `learning_rate` at its peak, `patience_epochs` on the score."""

    epochs: int
    batch: int
    learning_rate: float
    weight_decay: float
    patience_epochs: int
    seed: int
    precision: Precision
    device: Device
    ranges: AugmentationRanges


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSummary:
    """The best score, its epoch (from 1), epochs run, and the score after each epoch."""

    best_score: float
    best_epoch: int
    epochs_run: int
    history: tuple[float, ...]


def fit(
    network: nn.Module,
    data: TrainingData,
    spec: ModelSpec,
    *,
    options: FitOptions,
    loss: Loss,
    score: Score,
    checkpoint: Path,
) -> FitSummary:
    """Fit `network` in place and leave the averaged weights of its best epoch in it.

    `loss(network, images, targets)` sees normalised images [B, 3, S, S] and probabilities [B, C]; `score` is
    higher for better and is asked after every epoch. A StatefulLoss is told when an epoch ends, and goes on where its
    checkpoint stood. The network is moved to the device of the options, and back to the CPU at the end. `checkpoint` is
    a file; at the end it holds the fitted weights, and whoever keeps
    them elsewhere removes it then, so that a kill in between repeats no epoch.
    """
    device = choose_device(options.device, network)
    options = replace(options, precision="bf16" if uses_bf16(options.precision, device) else "float32")
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(
        _decay_groups(network, options.weight_decay), lr=options.learning_rate, betas=(0.9, 0.99)
    )
    state = load_checkpoint(checkpoint, network, average, optimizer)
    if isinstance(loss, StatefulLoss) and state.loss_state:
        loss.restore(state.loss_state)
    if state.epoch:
        log.info("going on from epoch %d of %d", state.epoch, options.epochs)
    for epoch in track(range(state.epoch, options.epochs), "training", total=options.epochs - state.epoch):
        if state.epoch - state.best_epoch >= options.patience_epochs:
            break
        _run_epoch(network, average, data, spec, optimizer=optimizer, options=options, loss=loss, epoch=epoch)
        state = state.after_epoch(score(average), average)
        if isinstance(loss, StatefulLoss):
            loss.end_epoch()
            state = replace(state, loss_state=loss.state())
        save_checkpoint(checkpoint, network, average, optimizer, state)
    network.load_state_dict(state.best_weights)
    network.cpu().eval()
    return FitSummary(
        best_score=state.best_score,
        best_epoch=state.best_epoch,
        epochs_run=state.epoch,
        history=state.history,
    )


def _run_epoch(
    network: nn.Module,
    average: nn.Module,
    data: TrainingData,
    spec: ModelSpec,
    *,
    optimizer: torch.optim.Optimizer,
    options: FitOptions,
    loss: Loss,
    epoch: int,
) -> None:
    torch.manual_seed(options.seed * 100_003 + epoch)
    generator = torch.Generator().manual_seed(options.seed * 100_003 + epoch)
    device = device_of(network)
    augmentation = Augmentation(options.ranges, num_classes=len(spec.classes), generator=generator, device=device)
    num_batches = max(1, data.num_batches(options.batch))
    network.train()
    for index, (pixels, labels) in enumerate(data.epoch_batches(batch=options.batch, seed=options.seed, epoch=epoch)):
        done = (epoch + index / num_batches) / options.epochs
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * _schedule(done)
        images = normalise_planes(augmentation.geometry_and_light(pixels.to(device)), spec)
        known = labels.to(device)
        targets = nn.functional.one_hot(known, len(spec.classes)).float()
        if done < 1 - PLAIN_TAIL:
            images, targets = augmentation.mix(images, known)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=options.precision == "bf16"):
            value = loss(network, images, targets)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimizer.step()
        _average(average, network, step=epoch * num_batches + index)


def _schedule(done: float) -> float:
    """Linear warm-up, then a cosine down to a hundredth."""
    if done < WARMUP_SHARE:
        return done / WARMUP_SHARE + 0.01
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (done - WARMUP_SHARE) / (1 - WARMUP_SHARE)))


@torch.no_grad()
def _average(average: nn.Module, network: nn.Module, *, step: int) -> None:
    decay = min(AVERAGE_DECAY, (1 + step) / (10 + step))
    own = network.state_dict()
    for name, tensor in average.state_dict().items():
        if tensor.dtype.is_floating_point:
            tensor.lerp_(own[name], 1 - decay)
        else:
            tensor.copy_(own[name])


def _decay_groups(network: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    trained = [p for p in network.parameters() if p.requires_grad]
    return [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]

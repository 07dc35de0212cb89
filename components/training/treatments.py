"""Puts a recipe's switches together: one loss of cross-entropy, distillation and a flip constraint.

The new part of a grown or merged network learns for itself: only its own logits enter. Adding both logits while it
learns gains less at equal flips. How much of what it learned is let through is decided afterwards (`switching.py`).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from components.core.errors import ConfigError
from components.models.artefacts import ModelSpec
from components.models.foreign.adapters import Adapted
from components.models.networks.growth import Grown
from components.models.prediction import device_of
from components.training.devices import is_movable
from components.training.losses import ClassMap, Distance, FlipConstraint


class Teacher:
    """Frozen networks whose mean logits are learned from (one: the champion; several: an ensemble, as in ELODI)."""

    def __init__(self, networks: Sequence[nn.Module], spec: ModelSpec, *, student: ModelSpec) -> None:
        if not networks:
            raise ConfigError("a teacher needs at least one network; name a champion or an ensemble")
        self.classes = ClassMap.between(spec.classes, student.classes)
        self._networks = [network.eval().to(memory_format=torch.channels_last) for network in networks]  # type: ignore[call-overload]
        self._size_px = spec.size_px
        self._renormalise = _renormalisation(student, spec)

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Mean logits [N, teacher's classes] of images [N, 3, S, S] that are normalised as the student wants them."""
        if self._renormalise is not None:
            scale, shift = (change.to(images.device) for change in self._renormalise)
            images = images * scale + shift
        if images.shape[-1] != self._size_px:
            images = F.interpolate(images, self._size_px, mode="bilinear", antialias=True, align_corners=False)
        self._follow(images.device)
        logits = [network(images.to(device_of(network))).float().to(images.device) for network in self._networks]
        return torch.stack(logits).mean(dim=0) if len(logits) > 1 else logits[0]

    def _follow(self, device: torch.device) -> None:
        """Copy the networks to the student's device, since a champion's is others' too; what cannot move stays."""
        for index, network in enumerate(self._networks):
            if device_of(network) != device and is_movable(network):
                self._networks[index] = copy.deepcopy(network).to(device)


@dataclass(slots=True, kw_only=True)
class TreatedLoss:
    """Cross-entropy, plus `weight` times the distance to a teacher, plus the penalty of a flip constraint.

    `teacher` None learns from `incumbent`, whose answers must not flip; `incumbent` None is the one inside the network.
    """

    label_smoothing: float
    weight: float = 0.0
    distance: Distance = field(default_factory=Distance)
    teacher: Teacher | None = None
    incumbent: Teacher | None = None
    constraint: FlipConstraint | None = None

    def __call__(self, network: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch: images [B, 3, S, S], targets [B, C] (class probabilities)."""
        taught = self.weight > 0 or self.constraint is not None
        held, logits = _parts(network, images, with_incumbent=taught and self.incumbent is None)
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=self.label_smoothing)
        if not taught:
            return loss
        new = logits.float()
        old, classes = _answers(self.teacher or self.incumbent, network, held, images)
        if self.weight:
            right = classes.right(old, targets)
            loss = loss + self.weight * self.distance.mean(*classes.shared(old, new), right)
        if self.constraint is not None:
            if self.teacher is not None:
                old, classes = _answers(self.incumbent, network, held, images)
            loss = loss + self.constraint.penalty(new, targets, classes.right(old, targets))
        return loss

    def end_epoch(self) -> None:
        """Called after each epoch: the dual variable takes its step."""
        if self.constraint is not None:
            self.constraint.end_epoch()

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps of this loss."""
        return self.constraint.state() if self.constraint is not None else {}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up where a checkpoint stood."""
        if self.constraint is not None and state:
            self.constraint.restore(state)


def _answers(asked: Teacher | None, network: nn.Module, held: Tensor | None, images: Tensor) -> tuple[Tensor, ClassMap]:
    """The logits to learn from or to keep: a teacher's, else those of the incumbent inside the network."""
    if asked is not None:
        return asked(images), asked.classes
    if held is None:
        raise ConfigError("this recipe learns from another model's answers, and there is no champion to ask")
    inner = network.inner
    known = inner.known if isinstance(inner, Adapted) else None
    return held.float(), ClassMap.same(held.shape[1], known=known)


def _parts(network: nn.Module, images: Tensor, *, with_incumbent: bool) -> tuple[Tensor | None, Tensor]:
    """The logits of the incumbent inside, where there is one and it is asked for, and those that are trained."""
    if not isinstance(network, Grown):
        return None, network(images)
    stands_alone = type(network).parts is Grown.parts  # elsewhere the new part reads the incumbent's features
    if stands_alone and not with_incumbent:
        return None, network.outer(images)
    return network.parts(images)


def _renormalisation(student: ModelSpec, teacher: ModelSpec) -> tuple[Tensor, Tensor] | None:
    """Scale and shift from the student's normalisation to the teacher's; None where they are alike."""
    if (student.mean, student.std) == (teacher.mean, teacher.std):
        return None
    mean, std, own_mean, own_std = (
        torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1)
        for values in (teacher.mean, teacher.std, student.mean, student.std)
    )
    return own_std / std, (own_mean - mean) / std

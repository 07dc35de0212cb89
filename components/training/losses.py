"""Losses against negative flips: distances to a teacher's logits, and a smooth stand-in for the flip rate.

Each is a switch of its own and they add up (`treatments.py`). Sources:

- focal distillation: Yan et al. 2021, Positive-Congruent Training: the mean over images of (alpha + beta * [teacher
  right]) * D, with D either T^2 times the Kullback-Leibler divergence at T = 100, or half the mean squared logit
  difference (the limit of the former for large T, up to each image's mean logit);
- logit-difference inhibition: Zhao et al. 2022 (ELODI): the mean of max(|difference| - xi, 0)^p, xi 0.5, p 2, over all
  classes or the teacher's top k;
- the flip constraint: Cotter et al. 2019 (proxy-Lagrangian), whose smooth side is the cross-entropy in bits.

**Classes may differ** between teacher and student: logits are compared by class name, on the classes that both know. A
teacher is right on an image when it names its true class, so it is never right where it does not know that class:
such an image cannot be a negative flip. An image whose class only the teacher knows can be one and nothing that the
student learns will help; it has no label among the student's classes, so no loss here ever sees it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from components.models.classes import match_classes

ALPHA, BETA, TEMPERATURE = 1.0, 5.0, 100.0
Form = Literal["logits", "kl", "inhibition"]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ClassMap:
    """Which of a teacher's classes are which of a student's.

    `teacher` and `student` [K] index the K classes that both know; `onto` [teacher's classes] is the student's index
    of each class of the teacher, -1 where the student lacks it. `alike` says that both have the same classes.
    """

    teacher: Tensor
    student: Tensor
    onto: Tensor
    alike: bool

    @classmethod
    def between(cls, teacher: Sequence[str], student: Sequence[str]) -> ClassMap:
        """Match classes by name; DataError when the two have none in common."""
        match = match_classes(teacher, student)
        return cls._of(match.new_of_old, alike=match.same)

    @classmethod
    def same(cls, num_classes: int, *, known: Tensor | None = None) -> ClassMap:
        """Teacher and student have the same classes in the same order, of which the teacher may not know all."""
        if known is None:
            return cls._of(range(num_classes), alike=True)
        return cls._of([index if knows else -1 for index, knows in enumerate(known.tolist())], alike=False)

    @classmethod
    def _of(cls, onto: Sequence[int], *, alike: bool) -> ClassMap:
        shared = [index for index, place in enumerate(onto) if place >= 0]
        return cls(
            teacher=torch.tensor(shared),
            student=torch.tensor([onto[index] for index in shared]),
            onto=torch.tensor(list(onto)),
            alike=alike,
        )

    def right(self, teacher_logits: Tensor, targets: Tensor) -> Tensor:
        """Whether the teacher [N, its classes] names the class that is most of the targets [N, C]; bool [N]."""
        return self.onto.to(targets.device)[teacher_logits.argmax(dim=1)] == targets.argmax(dim=1)

    def shared(self, teacher_logits: Tensor, student_logits: Tensor) -> tuple[Tensor, Tensor]:
        """Both logits on the shared classes, in one order, each [N, K]."""
        if self.alike:
            return teacher_logits, student_logits
        return teacher_logits[:, self.teacher], student_logits[:, self.student]


def logit_distance(old: Tensor, new: Tensor) -> Tensor:
    """Half the mean squared difference of logits [N, C], per image [N]."""
    return 0.5 * (new - old).square().mean(dim=1)


def kl_distance(old: Tensor, new: Tensor, *, temperature: float = TEMPERATURE) -> Tensor:
    """temperature^2 * KL(old || new) of the softened probabilities of logits [N, C], per image [N]."""
    was, now = F.log_softmax(old / temperature, dim=1), F.log_softmax(new / temperature, dim=1)
    return temperature**2 * (was.exp() * (was - now)).sum(dim=1)


def inhibition_distance(
    old: Tensor, new: Tensor, *, margin: float = 0.5, power: float = 2.0, top_k: int | None = None
) -> Tensor:
    """Mean of max(|new - old| - margin, 0)^power over classes [N, C], or over the teacher's `top_k`; per image [N]."""
    difference = (new - old).abs()
    if top_k is not None and top_k < old.shape[1]:
        difference = difference.gather(1, old.topk(top_k, dim=1).indices)
    return (difference - margin).clamp(min=0).pow(power).mean(dim=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """One of the distances with its settings; `beta` weighs images that the teacher has right (not for inhibition)."""

    form: Form = "logits"
    alpha: float = ALPHA
    beta: float = BETA
    temperature: float = TEMPERATURE
    margin: float = 0.5
    power: float = 2.0
    top_k: int | None = None

    def mean(self, old: Tensor, new: Tensor, right: Tensor) -> Tensor:
        """The distance of logits [N, K] averaged over images, those with `right` [N] weighing more."""
        if self.form == "inhibition":
            return inhibition_distance(old, new, margin=self.margin, power=self.power, top_k=self.top_k).mean()
        apart = kl_distance(old, new, temperature=self.temperature) if self.form == "kl" else logit_distance(old, new)
        return ((self.alpha + self.beta * right.float()) * apart).mean()


def flip_surrogate(new: Tensor, targets: Tensor, right: Tensor) -> Tensor:
    """A smooth upper bound on the flip rate among images that were right: mean of -log2 p(true class) over them.

    Logits [N, C], class probabilities [N, C], `right` bool [N]; 0 where no image was right. A flipped image has p at
    most 1/2, so each counts at least 1.
    """
    if not bool(right.any()):
        return new.sum() * 0.0
    bits = F.cross_entropy(new[right], targets[right].argmax(dim=1), reduction="none") / math.log(2)
    return bits.mean()


class FlipConstraint:
    """The dual variable of "flips among images once right <= limit", raised or lowered after each epoch.

    The loss gets `dual * (surrogate - limit)`; the dual moves by `rate * (flips - limit)`, with the flips counted and
    not smoothed, and stays within 0..`maximum`. The rate is on training images as the network in training sees them.
    """

    def __init__(self, *, limit: float, rate: float, maximum: float = 100.0) -> None:
        self.limit, self.rate, self.maximum = limit, rate, maximum
        self.dual = 0.0
        self._num_flips, self._num_right = 0, 0

    def penalty(self, new: Tensor, targets: Tensor, right: Tensor) -> Tensor:
        """What a batch adds to the loss; counts its flips on the way."""
        wrong = new.argmax(dim=1) != targets.argmax(dim=1)
        self._num_flips += int((right & wrong).sum())
        self._num_right += int(right.sum())
        return self.dual * (flip_surrogate(new, targets, right) - self.limit)

    def end_epoch(self) -> None:
        """One step of dual ascent on the epoch's counts; an epoch without an image once right counts as no flip."""
        observed = self._num_flips / self._num_right if self._num_right else 0.0
        self.dual = min(self.maximum, max(0.0, self.dual + self.rate * (observed - self.limit)))
        self._num_flips, self._num_right = 0, 0

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps."""
        return {"dual": torch.tensor(self.dual, dtype=torch.float64)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take up where a checkpoint stood."""
        self.dual = float(state["dual"])

"""The treatments of the table: what each trains, with two settings each, and how its answer is put together.

All cost the same to ask: those that hold the champion train a smaller new part, so that both together cost what the
untreated new network does. Each has two trainings to choose from on the first seed's search split. Of a network that
answers alone the stronger is taken that is no more than SLACK less accurate than the untreated one of the same seed;
they are listed from mild to strong. Where old and new answer together, both are tried with every setting of the switch,
and the fewest flips are taken at an accuracy no more than half of MAX_LOSS under the untreated one's; search flatters
that choice, and nothing but the final split is reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from components.models.networks.growth import margins
from components.models.networks.merging import pool
from components.training.config import Recipe
from components.training.switching import THRESHOLDS, SwitchPoints, switch_points
from tests.benchmarks.flips.images import Images
from tests.benchmarks.flips.lab import Lab, Order, Trained
from tests.benchmarks.flips.size import MAX_LOSS

SLACK = 0.0025
ENSEMBLE_SEEDS = (3, 4)  # untreated networks that the finalists have anyway
Guesses = NDArray[np.int64]
Answer = Literal["own", "switched", "merged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """A treatment: its settings (recipes' fields), and whether it answers alone or together with the champion."""

    name: str
    settings: tuple[Mapping[str, Any], ...]
    answer: Answer = "own"
    ensemble: bool = False
    focal: bool = False
    note: str = ""


PARTS: tuple[Mapping[str, Any], ...] = ({}, {"distill_weight": 0.3, "distill_form": "inhibition"})
STARTED: tuple[Mapping[str, Any], ...] = ({"start": "champion"}, {"start": "champion", "distill_weight": 0.05})
ARMS = (
    Arm(name="untreated", settings=({},)),
    Arm(
        name="focal distillation, KL",
        settings=tuple({"distill_weight": w, "distill_form": "kl"} for w in (0.05, 0.15)),
        focal=True,
    ),
    Arm(
        name="focal distillation, logits",
        settings=tuple({"distill_weight": w} for w in (0.05, 0.15)),
        focal=True,
    ),
    Arm(
        name="logit-difference inhibition",
        settings=tuple({"distill_weight": w, "distill_form": "inhibition"} for w in (0.2, 0.6)),
    ),
    Arm(
        name="ensemble teacher",
        settings=tuple({"distill_weight": w, "distill_form": "inhibition"} for w in (0.6, 1.8)),
        ensemble=True,
        note="two more networks to train",
    ),
    Arm(name="constrained", settings=tuple({"flip_limit": limit} for limit in (0.2, 0.06))),
    Arm(name="contained, switch by margin", settings=PARTS, answer="switched"),
    Arm(name="contained, merged outputs", settings=PARTS, answer="merged"),
    Arm(name="started from the old", settings=STARTED),
    Arm(name="contained, started from the old", settings=STARTED, answer="merged"),
)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Reply:
    """What an arm answers on both splits, what it cost to train and costs to ask."""

    search: Guesses
    final: Guesses
    core_s: float
    multiply_adds: int
    tuned: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One scenario at one seed: the old network, the untreated new one, and the architectures that may be trained."""

    lab: Lab
    seed: int
    old: Trained
    untreated: Trained
    whole: Mapping[str, Any]
    part: Mapping[str, Any]
    ensemble: tuple[Trained, ...] = ()

    @property
    def floor(self) -> float:
        """The accuracy on search that a setting is to keep."""
        return self._untreated_accuracy - SLACK

    @property
    def aim(self) -> float:
        """The accuracy on search that a switch between old and new is set to: half of what may be given up.

        It has hundreds of points to choose from, so search flatters it.
        """
        return self._untreated_accuracy - MAX_LOSS / 2

    @property
    def _untreated_accuracy(self) -> float:
        return accuracy(self.untreated.search.argmax(axis=1), self.lab.images.search.labels)


def order_of(scene: Scene, arm: Arm, setting: Mapping[str, Any]) -> Order:
    """What an arm trains at one setting."""
    recipe = Recipe(**{**setting, **({"teacher": "ensemble"} if arm.ensemble else {})})
    return Order(
        architecture=scene.whole if arm.answer == "own" else scene.part,
        recipe=recipe,
        seed=scene.seed,
        champion=scene.old if recipe.needs_champion else None,
        ensemble=scene.ensemble if arm.ensemble else (),
    )


def reply(scene: Scene, arm: Arm, setting: Mapping[str, Any]) -> Reply:
    """Train an arm at one setting (or take it from an earlier run) and put its answers together."""
    made = scene.lab.train(order_of(scene, arm, setting))
    if arm.answer == "own":
        found = own_reply(made)
    else:
        together = switched if arm.answer == "switched" else merged
        found = together(scene.old, made, scene.lab.images, floor=scene.aim)
    taught_s = sum(member.core_s for member in scene.ensemble) if arm.ensemble else 0.0
    return replace(found, core_s=found.core_s + taught_s)


def own_reply(made: Trained) -> Reply:
    """A network's own answers."""
    return Reply(
        search=made.search.argmax(axis=1),
        final=made.final.argmax(axis=1),
        core_s=made.core_s,
        multiply_adds=made.multiply_adds,
    )


def switched(old: Trained, new: Trained, images: Images, *, floor: float) -> Reply:
    """The champion's answer unless the new part is surer by more than a threshold that is tuned on search."""
    labels = images.search.labels

    def answers(threshold: float, *, final: bool) -> Guesses:
        first, second = (old.final, new.final) if final else (old.search, new.search)
        margin = margins(torch.from_numpy(first), torch.from_numpy(second)).numpy()
        return np.where(margin > threshold, second.argmax(axis=1), first.argmax(axis=1))

    kept = old.search.argmax(axis=1)
    found = [answers(float(threshold), final=False) for threshold in THRESHOLDS]
    best = min(range(len(found)), key=lambda index: _rank(kept, found[index], labels, floor=floor))
    return Reply(
        search=found[best],
        final=answers(float(THRESHOLDS[best]), final=True),
        core_s=new.core_s,
        multiply_adds=old.multiply_adds + new.multiply_adds,
        tuned={"threshold": float(THRESHOLDS[best])},
    )


def merged(old: Trained, new: Trained, images: Images, *, floor: float) -> Reply:
    """Both networks' weighted evidence with a head start for the champion's class, both tuned on search."""
    labels = images.search.labels
    points = switch_points(old.search, new.search, labels, was_right=old.search.argmax(axis=1) == labels)
    best = _fewest_flips(points, min_right=floor * len(labels))
    share, bias = float(points.share[best]), float(points.bias[best])
    return Reply(
        search=merge(old.search, new.search, share=share, bias=bias),
        final=merge(old.final, new.final, share=share, bias=bias),
        core_s=new.core_s,
        multiply_adds=old.multiply_adds + new.multiply_adds,
        tuned={"share": share, "bias": bias},
    )


def _fewest_flips(points: SwitchPoints, *, min_right: float) -> int:
    """The row with fewest flips among those with at least `min_right` right answers, else the most accurate."""
    allowed = np.flatnonzero(points.num_right >= min_right)
    if not len(allowed):
        return points.most_accurate(max_flips=np.inf)
    return int(allowed[np.lexsort((-points.num_right[allowed], points.num_flips[allowed]))[0]])


def merge(old: NDArray[np.float32], new: NDArray[np.float32], *, share: float, bias: float) -> Guesses:
    """The classes [N] that a merged network answers, from the logits of its parts."""
    pooled = pool(torch.from_numpy(old), torch.from_numpy(new), share).numpy()
    pooled[np.arange(len(old)), old.argmax(axis=1)] += bias
    return np.asarray(pooled.argmax(axis=1))


def chosen_setting(scene: Scene, arm: Arm, settings: Sequence[Mapping[str, Any]]) -> int:
    """The setting with fewest flips on search among those that keep the accuracy; else the most accurate."""
    labels, kept = scene.lab.images.search.labels, scene.old.search.argmax(axis=1)
    found = [reply(scene, arm, setting).search for setting in settings]
    return min(range(len(found)), key=lambda index: _rank(kept, found[index], labels, floor=scene.floor))


def accuracy(guesses: Guesses, labels: Guesses) -> float:
    """The share of right answers."""
    return float((guesses == labels).mean())


def _flips(old: Guesses, new: Guesses, labels: Guesses) -> float:
    return float(((old == labels) & (new != labels)).mean())


def _rank(old: Guesses, new: Guesses, labels: Guesses, *, floor: float) -> tuple[bool, float, float]:
    """Lower is better: those that keep the accuracy first, by flips; the others by accuracy."""
    right = accuracy(new, labels)
    return (False, _flips(old, new, labels), -right) if right >= floor else (True, -right, 0.0)

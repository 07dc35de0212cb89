"""What images are worth: networks trained on each kind and scored on the 296 grocery photos that are held back.

All arms take the same number of steps with the same network, augmentation and batch. Arms without photos see none at
all: they stop early by a tenth of their own images. Arms with photos have the 2,640 minus a tenth, by which they stop.
Two trainings run at a time, a thread each, which does more in the same time than one with two.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

from components.core import manifest
from components.core.progress import track
from tests.benchmarks.figures import SHORT, Figure
from tests.benchmarks.imaging.arms import ARMS, FOLDER, Arm, deal_photos, draw_sheets, held_back, make_set, nothing
from tests.benchmarks.imaging.lab import GROCERY, icons, met, remembered
from tests.benchmarks.workers import settle

SEEDS = [0] if SHORT else [0, 1, 2]
ABLATION_SEEDS = [] if SHORT else SEEDS[:1]
NUM_STEPS = 120 if SHORT else 960
SIZE_PX, BATCH, SYNTHETIC_SHARE = 64, 64, 0.25
GOAL_SHARE, GOAL_POINTS = 0.5, 3.0

Scores = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training: an arm, a seed, and the manifests it reads."""

    arm: Arm
    seed: int
    synthetic: Path
    train: Path
    search: Path
    epochs: int


def measure_use() -> list[Figure]:
    """Accuracy of every arm over the seeds, what the goals say, and what each ingredient is worth."""
    trials = [_trial(arm, seed) for arm in ARMS for seed in (SEEDS if arm.kind == "main" else ABLATION_SEEDS)]
    draw_sheets(SEEDS[0])
    workers = min(2, os.cpu_count() or 1)
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=settle) as pool:
        found = list(track(pool.map(score_trial, trials), "Training", total=len(trials)))
    scores: dict[str, list[Scores]] = {}
    for trial, score in zip(trials, found, strict=True):
        scores.setdefault(trial.arm.name, []).append(score)
    return [*_accuracies(scores), *_goals(scores), *_ablation(scores)]


def score_trial(trial: Trial) -> Scores:
    """Fine and coarse accuracy on the held-back photos; trained once, whatever happens to the run."""
    name = f"{trial.arm.name}-{trial.seed}"
    found: Scores = remembered(FOLDER / "scores" / f"{name}.json", lambda: _trained(trial, name))
    return found


def _trained(trial: Trial, name: str) -> Scores:
    from components.datasets.pixels import PixelStore
    from components.models.artefacts import load_model
    from components.models.prediction import predict
    from components.training.config import Recipe, TrainingConfig
    from components.training.training import TrainingInputs, train

    classes = tuple(sorted(set(manifest.read(icons(), ["label"])["label"].to_pylist())))
    inputs = TrainingInputs(
        train=trial.train,
        search=trial.search,
        synthetic=trial.synthetic,
        classes=classes,
        champion=None,
        code="benchmark",
        cache=FOLDER / "pixels",
        scratch=FOLDER / "scratch" / name,
    )
    config = TrainingConfig(
        size_px=SIZE_PX,
        batch=BATCH,
        synthetic_share=SYNTHETIC_SHARE,
        candidates={"plain": Recipe(epochs=trial.epochs)},
    )
    train(inputs, config, out=FOLDER / "models" / name, seed=trial.seed)
    model = load_model(FOLDER / "models" / name / "plain" / "model")
    store = PixelStore.open(held_back(), size_px=SIZE_PX, cache=FOLDER / "pixels")
    guesses, truth = predict(model, store.pixels).argmax(axis=1), store.label_indices(classes)
    coarse = np.array([_coarse()[label] for label in classes])
    return {
        "fine": float(np.mean(guesses == truth)),
        "coarse": float(np.mean(coarse[guesses] == coarse[truth])),
    }


def _trial(arm: Arm, seed: int) -> Trial:
    """The trial with its images made, and as many epochs as give NUM_STEPS."""
    train, search = deal_photos(seed) if arm.photos else (nothing(), nothing())
    synthetic = make_set(arm.images, seed) if arm.images is not None else nothing()
    if arm.photos:
        step = BATCH - (round(BATCH * SYNTHETIC_SHARE) if arm.images is not None else 0)
        steps = manifest.count(train) // step
    else:
        steps = int(manifest.count(synthetic) * 0.9) // BATCH
    epochs = max(1, round(NUM_STEPS / steps))
    return Trial(arm=arm, seed=seed, synthetic=synthetic, train=train, search=search, epochs=epochs)


def _accuracies(scores: dict[str, list[Scores]]) -> Iterator[Figure]:
    for level in ("fine", "coarse"):
        for name, found in scores.items():
            values = [score[level] for score in found]
            yield Figure(
                name=f"{level} accuracy on held-back photos, trained on {name}",
                value=mean(values),
                seeds=SEEDS[: len(values)],
                spread=_spread(values),
            )


def _goals(scores: dict[str, list[Scores]]) -> Iterator[Figure]:
    pastes, real, both = (
        [score["fine"] for score in scores[name]]
        for name in ("this project's pastes", "real photos", "real photos and pastes")
    )
    share = mean(pastes) / max(mean(real), 1e-9)
    yield Figure(
        name="pastes alone, as share of what all real photos reach",
        value=share,
        goal=f">= {GOAL_SHARE}",
        met=met(share >= GOAL_SHARE),
        seeds=SEEDS,
    )
    gains = [100 * (b - r) for b, r in zip(both, real, strict=True)]
    yield Figure(
        name="points that pastes add to real photos",
        value=mean(gains),
        goal=f">= {GOAL_POINTS:.0f}",
        met=met(mean(gains) >= GOAL_POINTS),
        seeds=SEEDS,
        spread=_spread(gains),
    )


def _ablation(scores: dict[str, list[Scores]]) -> Iterator[Figure]:
    """Points that an ingredient is worth: pastes with it minus pastes without, seed by seed."""
    whole = [score["fine"] for score in scores["this project's pastes"]]
    for arm in ARMS:
        if arm.kind == "ablation" and arm.name in scores:
            without = [score["fine"] for score in scores[arm.name]]
            lost = [100 * (a - b) for a, b in zip(whole, without, strict=False)]
            name = f"points lost by {arm.name}"
            yield Figure(name=name, value=mean(lost), seeds=ABLATION_SEEDS, spread=_spread(lost))


def _spread(values: Sequence[float]) -> str:
    told = ", ".join(f"{value:.3g}" for value in values)
    return f"{told}; sd {stdev(values):.2g}" if len(values) > 1 else "one seed"


def _coarse() -> dict[str, Any]:
    with (GROCERY / "classes.csv").open(encoding="utf-8", newline="") as file:
        return {row["class_name"]: row["coarse_id"] for row in csv.DictReader(file)}

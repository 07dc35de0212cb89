"""Trains the candidates of a release on the train split and the synthetic images.

The certify split is not among the inputs. A finished candidate is kept when a later one is killed: its folder
holds the digest of all that it was made from.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from components.core.digests import digest_json, digest_tree
from components.core.errors import DataError
from components.core.files import atomic_directory, read_json, write_json
from components.core.params import parse_section
from components.datasets.pixels import PixelStore
from components.models.artefacts import LoadedModel, ModelSpec, load_model, save_model
from components.models.families import build_network, load_pretrained
from components.models.growth import Grown
from components.models.identity import model_digest
from components.models.prediction import predict_logits
from components.training.batches import AugmentationRanges, LabelledPixels, TrainingData
from components.training.config import Recipe, TrainingConfig
from components.training.fitting import FitOptions, FitSummary, Loss, fit
from components.training.treatments import ContainedLoss, PlainLoss, tune_threshold

log = logging.getLogger(__name__)
RESEED, RESEED_OFFSET = "reseed", 1_000
CARD = "candidate.json"
HELD_BACK_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInputs:
    """Manifests of photos (train and search) and synthetic images, the class names, and the champion if any.

    `cache` holds decoded pixels; `scratch` holds checkpoints and survives a kill.
    """

    train: Path
    search: Path
    synthetic: Path
    classes: tuple[str, ...]
    champion: Path | None
    cache: Path
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateSummary:
    """One trained candidate: its digest, its accuracy on the search split, how it was fitted."""

    name: str
    digest: str
    search_accuracy: float
    num_parameters: int
    threshold: float | None
    epochs_run: int
    history: tuple[float, ...]
    recipe: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """The candidates in the order of the recipes, and those skipped with the reason."""

    candidates: tuple[CandidateSummary, ...]
    skipped: Mapping[str, str]


def train(inputs: TrainingInputs, config: TrainingConfig, *, out: Path, seed: int) -> TrainingSummary:
    """Train every candidate into `out/NAME/model`; DataError when nothing can be trained.

    Candidates of an earlier release that are no longer among the recipes are removed.
    """
    data, search = _load(inputs, config, seed=seed)
    champion = load_model(inputs.champion) if inputs.champion is not None else None
    jobs, skipped = _plan(inputs, config, champion, seed=seed)
    made = []
    for job in jobs:
        summary = _finished(out / job.name, job)
        if summary is None:
            summary = _train_one(job, inputs, config, data.only(job.recipe.use), search, out=out)
        made.append(summary)
    for folder in out.glob("*/"):
        if folder.name not in {job.name for job in jobs}:
            shutil.rmtree(folder)
    return TrainingSummary(candidates=tuple(made), skipped=skipped)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    name: str
    recipe: Recipe
    incumbent: nn.Module | None
    architecture: Mapping[str, Any]
    seed: int
    made_from: str


def _plan(
    inputs: TrainingInputs, config: TrainingConfig, champion: LoadedModel | None, *, seed: int
) -> tuple[list[_Job], dict[str, str]]:
    jobs, skipped = [], {}
    for name, recipe in config.candidates.items():
        reason = _obstacle(recipe, inputs, champion)
        if reason:
            skipped[name] = reason
            log.warning("candidate '%s' is skipped: %s", name, reason)
        else:
            jobs.append(_job(name, recipe, inputs, config, champion, seed=seed))
    if not jobs:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise DataError(f"no candidate can be trained ({reasons}); add a plain recipe to training.candidates")
    if config.reseed and champion is not None:
        jobs.append(_reseed_job(inputs, config, champion, seed=seed))
    return jobs, skipped


def _obstacle(recipe: Recipe, inputs: TrainingInputs, champion: LoadedModel | None) -> str | None:
    if recipe.treatment == "plain":
        return None
    if champion is None:
        return "there is no champion to contain yet"
    if champion.spec.classes != inputs.classes:
        return "the champion knows other classes, so its answers cannot be kept"
    return None


def _job(
    name: str,
    recipe: Recipe,
    inputs: TrainingInputs,
    config: TrainingConfig,
    champion: LoadedModel | None,
    *,
    seed: int,
) -> _Job:
    contained = recipe.treatment == "contained"
    incumbent = champion if contained else None
    shared = config.model_dump(exclude={"candidates", "reseed"})
    made_from = [
        recipe.model_dump(mode="json"),
        shared,
        list(inputs.classes),
        champion.digest if champion is not None and contained else None,
        [digest_tree(folder, "*.parquet") for folder in (inputs.train, inputs.search, inputs.synthetic)],
        seed,
    ]
    return _Job(
        name=name,
        recipe=recipe,
        incumbent=incumbent.network if incumbent is not None else None,
        architecture=_architecture(recipe, inputs, incumbent.spec.architecture if incumbent is not None else None),
        seed=seed + recipe.seed_offset,
        made_from=digest_json(made_from),
    )


def _reseed_job(inputs: TrainingInputs, config: TrainingConfig, champion: LoadedModel, *, seed: int) -> _Job:
    """The champion's own recipe with another seed: its flips against the champion are the noise floor."""
    recipe = parse_section(Recipe, champion.spec.recipe.get("recipe"), where="the champion's recipe")
    again = recipe.model_copy(update={"seed_offset": recipe.seed_offset + RESEED_OFFSET})
    job = _job(RESEED, again, inputs, config, champion, seed=seed)
    if not isinstance(champion.network, Grown):
        return job
    return replace(job, incumbent=champion.network.inner, architecture=champion.spec.architecture)


def _architecture(recipe: Recipe, inputs: TrainingInputs, incumbent: Mapping[str, Any] | None) -> Mapping[str, Any]:
    num_classes = len(inputs.classes)
    own: dict[str, Any] = {
        "family": "convnet",
        "num_classes": num_classes,
        "widths": list(recipe.widths),
        "blocks": list(recipe.blocks),
        "stem_stride": recipe.stem_stride,
    }
    if recipe.backbone is not None:
        own = {"family": "torchvision", "name": recipe.backbone, "num_classes": num_classes}
    return own if incumbent is None else {"family": "grown", "inner": incumbent, "outer": own}


def _finished(folder: Path, job: _Job) -> CandidateSummary | None:
    """The summary of a candidate that an earlier run finished from the very same inputs."""
    path = folder / CARD
    if not path.is_file():
        return None
    card = read_json(path)
    if card.pop("made_from", None) != job.made_from or card.get("digest") != model_digest(folder / "model"):
        return None
    log.info("candidate '%s' is already trained from these inputs", job.name)
    return CandidateSummary(**{**card, "history": tuple(card["history"])})


def _train_one(
    job: _Job,
    inputs: TrainingInputs,
    config: TrainingConfig,
    data: TrainingData,
    search: LabelledPixels,
    *,
    out: Path,
) -> CandidateSummary:
    network = _network(job)
    options = job.recipe.model_dump(mode="json")
    recipe = {"candidate": job.name, "seed": job.seed, "recipe": options}
    spec = ModelSpec(architecture=job.architecture, classes=inputs.classes, size_px=config.size_px, recipe=recipe)
    fitted = _fit(network, job, config, data, spec, search, scratch=inputs.scratch)
    threshold = None
    if isinstance(network, Grown):
        threshold = tune_threshold(network, spec, search.pixels, search.labels, flip_target=config.flip_target)
    with atomic_directory(out / job.name) as partial:
        digest = save_model(partial / "model", network, spec)
        summary = CandidateSummary(
            name=job.name,
            digest=digest,
            search_accuracy=_accuracy(network, spec, search),
            num_parameters=sum(parameter.numel() for parameter in network.parameters()),
            threshold=threshold,
            epochs_run=fitted.epochs_run,
            history=fitted.history,
            recipe=options,
        )
        write_json(partial / CARD, {"made_from": job.made_from, **asdict(summary)})
    return summary


def _network(job: _Job) -> nn.Module:
    torch.manual_seed(job.seed)
    network = build_network(job.architecture)
    if job.recipe.pretrained and job.recipe.backbone is not None:
        load_pretrained(network.outer if isinstance(network, Grown) else network, job.recipe.backbone)
    if isinstance(network, Grown):
        assert job.incumbent is not None
        network.inner.load_state_dict(job.incumbent.state_dict())
        network.threshold.fill_(0.0)  # while it learns, the new part is scored for itself
    return network


def _fit(
    network: nn.Module,
    job: _Job,
    config: TrainingConfig,
    data: TrainingData,
    spec: ModelSpec,
    search: LabelledPixels,
    *,
    scratch: Path,
) -> FitSummary:
    loss: Loss = PlainLoss(label_smoothing=config.label_smoothing)
    if isinstance(network, Grown):
        loss = ContainedLoss(label_smoothing=config.label_smoothing, weight=job.recipe.distill_weight)
    options = FitOptions(
        epochs=job.recipe.epochs,
        batch=config.batch,
        learning_rate=job.recipe.learning_rate,
        weight_decay=config.weight_decay,
        patience_epochs=config.patience_epochs,
        seed=job.seed,
        bf16=config.precision == "bf16",
        ranges=AugmentationRanges(zoom=config.zoom, turn_deg=config.turn_deg, mix_share=config.mix_share),
    )
    return fit(
        network,
        data,
        spec,
        options=options,
        loss=loss,
        score=lambda fitted: _accuracy(fitted, spec, search),
        checkpoint=scratch / f"{job.made_from}.checkpoint",
    )


def _accuracy(network: nn.Module, spec: ModelSpec, images: LabelledPixels) -> float:
    guesses = predict_logits(network, spec, images.pixels).argmax(axis=1)
    return float(np.mean(guesses == images.labels))


def _load(inputs: TrainingInputs, config: TrainingConfig, *, seed: int) -> tuple[TrainingData, LabelledPixels]:
    """The training data and the search split; without photos, synthetic images held back stand in for it."""
    train, search, synthetic = (
        _pixels(folder, inputs, config) for folder in (inputs.train, inputs.search, inputs.synthetic)
    )
    if not len(train) and not len(synthetic):
        raise DataError("there is nothing to train on: no photos and no synthetic images; give --photos or --catalog")
    if not len(search):
        held_back = np.random.default_rng(seed).random(len(synthetic)) < HELD_BACK_SHARE
        search, synthetic = synthetic.where(held_back), synthetic.where(~held_back)
    return TrainingData(photos=train, synthetic=synthetic, synthetic_share=config.synthetic_share), search


def _pixels(folder: Path, inputs: TrainingInputs, config: TrainingConfig) -> LabelledPixels:
    store = PixelStore.open(folder, size_px=config.size_px, cache=inputs.cache)
    return LabelledPixels(pixels=store.pixels, labels=store.label_indices(inputs.classes))

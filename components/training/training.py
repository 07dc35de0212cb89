"""Trains the candidates of a release on the train split and the synthetic images.

The certify split is not among the inputs. A finished candidate is kept when a later one is killed: its folder
holds the digest of all that it was made from.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.digests import digest_json, digest_tree
from components.core.errors import ConfigError, DataError
from components.core.files import read_json
from components.core.params import parse_section
from components.datasets.pixels import PixelStore
from components.models.artefacts import LoadedModel, ModelSpec, load_model
from components.models.classes import match_classes
from components.models.foreign.incumbents import as_inner
from components.models.identity import model_digest
from components.models.networks.growth import Grown
from components.models.networks.inheriting import inherit
from components.models.networks.registry import build_network, with_defaults
from components.training.answers import right_answers
from components.training.batches import LabelledPixels, TrainingData
from components.training.candidates import CARD, CandidateSummary, Job, Material, make_candidate
from components.training.config import Recipe, TrainingConfig

log = logging.getLogger(__name__)
RESEED, RESEED_OFFSET = "reseed", 1_000
FAMILY = "family"  # the folder of what belongs to no single candidate of a family
HOLDERS = {"contained": "grown", "merged": "merged"}
HELD_BACK_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingInputs:
    """Manifests of photos (train and search) and synthetic images, the class names, and the champion if any.

    `code` is the digest of the code that trains: what another one made is not kept. `cache` holds decoded pixels;
    `scratch` holds checkpoints and survives a kill.
    """

    train: Path
    search: Path
    synthetic: Path
    classes: tuple[str, ...]
    champion: Path | None
    code: str
    cache: Path
    scratch: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSummary:
    """The candidates in the order of the recipes, and those skipped with the reason."""

    candidates: tuple[CandidateSummary, ...]
    skipped: Mapping[str, str]


def train(inputs: TrainingInputs, config: TrainingConfig, *, out: Path, seed: int) -> TrainingSummary:
    """Train every recipe's candidate into `out/NAME/model`; DataError when there is none to train, and no family.

    Candidates of an earlier release that are no longer among the recipes are removed.
    """
    data, search = load_data(inputs, config, seed=seed)
    champion = load_model(inputs.champion) if inputs.champion is not None else None
    jobs, skipped = _plan(inputs, config, champion, data, seed=seed)
    tuned = champion is not None and any(job.recipe.is_tuned for job in jobs)
    material = Material(
        config=config,
        classes=inputs.classes,
        data=data,
        search=search,
        champion_right=champion_right(inputs, champion, seed=seed) if champion is not None and tuned else None,
        scratch=inputs.scratch,
    )
    made = [_finished(out / job.name, job) or make_candidate(job, material, out=out) for job in jobs]
    kept = {job.name for job in jobs} | ({FAMILY} if config.family is not None else set())
    for folder in out.glob("*/"):
        if folder.name not in kept:
            shutil.rmtree(folder)
    return TrainingSummary(candidates=tuple(made), skipped=skipped)


def _plan(
    inputs: TrainingInputs, config: TrainingConfig, champion: LoadedModel | None, data: TrainingData, *, seed: int
) -> tuple[list[Job], dict[str, str]]:
    jobs, skipped = [], {}
    for name, recipe in config.candidates.items():
        reason = _obstacle(recipe, inputs, champion) if recipe.needs_champion else None
        if reason:
            skipped[name] = reason
            log.warning("candidate '%s' is skipped: %s", name, reason)
        else:
            jobs.append(_job(name, recipe, inputs, config, champion, seed=seed))
    if not jobs and config.family is None:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise DataError(f"no candidate can be trained ({reasons}); add a plain recipe to training.candidates")
    if config.reseed and champion is not None:
        reseed = _reseed_job(inputs, config, champion, data, seed=seed)
        if isinstance(reseed, str):
            skipped[RESEED] = f"{reseed}; state selection.policy.noise_floor instead"
            log.warning("no reseed tells the noise floor: %s", skipped[RESEED])
        else:
            jobs.append(reseed)
    return jobs, skipped


def _obstacle(recipe: Recipe, inputs: TrainingInputs, champion: LoadedModel | None) -> str | None:
    """Why a recipe that builds on the champion cannot be followed; None when it can."""
    if champion is None:
        return f"there is no champion to {'learn from' if recipe.treatment == 'plain' else 'contain'} yet"
    try:
        match_classes(champion.spec.classes, inputs.classes)
    except DataError as error:
        return str(error)
    ours = ModelSpec(architecture={}, classes=inputs.classes, size_px=champion.spec.size_px)
    if recipe.interpolate and (champion.spec.mean, champion.spec.std) != (ours.mean, ours.std):
        return "the champion reads images normalised otherwise, so its weights are no start for this candidate's"
    if recipe.interpolate and champion.spec.classes != inputs.classes:
        return "the champion knows other classes, so no line joins its weights to this candidate's"
    if recipe.interpolate and with_defaults(_architecture(recipe, inputs)) != with_defaults(champion.spec.architecture):
        return "the champion has another architecture, so no line joins its weights to this candidate's"
    return _cannot_start(recipe, inputs, champion) if recipe.start == "champion" else None


def _cannot_start(recipe: Recipe, inputs: TrainingInputs, old: LoadedModel) -> str | None:
    """Why a recipe's network cannot begin as an old one's function; None when it can."""
    architecture = _architecture(recipe, inputs)
    spec = ModelSpec(architecture=architecture, classes=inputs.classes, size_px=old.spec.size_px)
    try:
        inherit(build_network(architecture), spec, old=old.network, old_spec=old.spec)
    except ConfigError as error:
        return str(error)
    return None


def _job(
    name: str,
    recipe: Recipe,
    inputs: TrainingInputs,
    config: TrainingConfig,
    champion: LoadedModel | None,
    *,
    seed: int,
) -> Job:
    architecture, inner = _architecture(recipe, inputs), None
    if champion is not None and recipe.treatment != "plain":
        target = ModelSpec(architecture=architecture, classes=inputs.classes, size_px=config.size_px)
        inner, held = as_inner(champion, target)
        architecture = {"family": HOLDERS[recipe.treatment], "inner": held, "outer": architecture}
    shared = config.model_dump(exclude={"candidates", "reseed", "family"})
    made_from = [
        recipe.model_dump(mode="json"),
        shared,
        inputs.code,
        list(inputs.classes),
        champion.digest if champion is not None and recipe.needs_champion else None,
        [digest_tree(folder, "*.parquet") for folder in (inputs.train, inputs.search, inputs.synthetic)],
        seed,
    ]
    return Job(
        name=name,
        recipe=recipe,
        champion=champion,
        incumbent=inner,
        start=champion if recipe.start == "champion" else None,
        architecture=architecture,
        seed=seed + recipe.seed_offset,
        made_from=digest_json(made_from),
    )


def _reseed_job(
    inputs: TrainingInputs, config: TrainingConfig, champion: LoadedModel, data: TrainingData, *, seed: int
) -> Job | str:
    """The champion's own recipe with another seed: its flips against the champion are the noise floor.

    Or, in words, why it cannot be followed: what the champion itself learned from is only at hand where it holds it.
    """
    if "recipe" not in champion.spec.recipe:
        return "the champion came from elsewhere, so its recipe is not known"
    try:
        recipe = parse_section(Recipe, champion.spec.recipe["recipe"], where="the champion's recipe")
        data.only(recipe.use)
    except (ConfigError, DataError) as error:
        return str(error)
    again = recipe.model_copy(update={"seed_offset": recipe.seed_offset + RESEED_OFFSET})
    if isinstance(champion.network, Grown) and champion.spec.classes == inputs.classes:
        job = _job(RESEED, again, inputs, config, champion, seed=seed)
        held = replace(champion, network=champion.network.inner)
        reason = _cannot_start(again, inputs, held) if again.start == "champion" else None
        start = held if job.start is not None else None
        return reason or replace(job, incumbent=held.network, start=start, architecture=champion.spec.architecture)
    family = champion.spec.recipe.get(FAMILY, {})
    if recipe.needs_champion or family.get("form") == "shared":
        return "the champion learned from a model that it does not hold"
    job = _job(RESEED, again, inputs, config, champion, seed=seed)
    if family and champion.spec.classes == inputs.classes:
        architecture = champion.spec.architecture  # a member is trained again by itself
        return replace(job, architecture=architecture, made_from=digest_json([job.made_from, dict(architecture)]))
    return job


def _architecture(recipe: Recipe, inputs: TrainingInputs) -> Mapping[str, Any]:
    """The network that a recipe trains, without the champion that it may hold."""
    num_classes = len(inputs.classes)
    if recipe.backbone is not None:
        return {"family": "torchvision", "name": recipe.backbone, "num_classes": num_classes}
    return {
        "family": "convnet",
        "num_classes": num_classes,
        "widths": list(recipe.widths),
        "blocks": list(recipe.blocks),
        "stem_stride": recipe.stem_stride,
    }


def _finished(folder: Path, job: Job) -> CandidateSummary | None:
    """The summary of a candidate that an earlier run finished from the very same inputs."""
    path = folder / CARD
    if not path.is_file():
        return None
    card = read_json(path)
    if card.pop("made_from", None) != job.made_from or card.get("digest") != model_digest(folder / "model"):
        return None
    log.info("candidate '%s' is already trained from these inputs", job.name)
    return CandidateSummary(**{**card, "history": tuple(card["history"])})


def load_data(inputs: TrainingInputs, config: TrainingConfig, *, seed: int) -> tuple[TrainingData, LabelledPixels]:
    """The training data and the search split; without photos, synthetic images held back stand in for it."""
    train, search, synthetic = (
        _pixels(folder, inputs, config.size_px) for folder in (inputs.train, inputs.search, inputs.synthetic)
    )
    if not len(train) and not len(synthetic):
        raise DataError("there is nothing to train on: no photos and no synthetic images; give --photos or --catalog")
    if not len(search):
        held_back = _held_back(len(synthetic), seed)
        search, synthetic = synthetic.where(held_back), synthetic.where(~held_back)
    return TrainingData(photos=train, synthetic=synthetic, synthetic_share=config.synthetic_share), search


def champion_right(inputs: TrainingInputs, champion: LoadedModel, *, seed: int) -> NDArray[np.bool_]:
    """Which images [N] of the search split the champion has right, decoded at its own side as the gate does it.

    DataError where it knows none of the classes.
    """
    side = champion.spec.size_px
    search = _pixels(inputs.search, inputs, side)
    if not len(search):
        synthetic = _pixels(inputs.synthetic, inputs, side)
        search = synthetic.where(_held_back(len(synthetic), seed))
    return right_answers(champion, search, inputs.classes)


def _held_back(num: int, seed: int) -> NDArray[np.bool_]:
    return np.random.default_rng(seed).random(num) < HELD_BACK_SHARE


def _pixels(folder: Path, inputs: TrainingInputs, size_px: int) -> LabelledPixels:
    store = PixelStore.open(folder, size_px=size_px, cache=inputs.cache)
    return LabelledPixels(pixels=store.pixels, labels=store.label_indices(inputs.classes))

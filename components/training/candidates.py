"""Makes one candidate: builds its network, fits it by its recipe, tunes its switches, and writes it down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import nn

from components.core.errors import StateError
from components.core.files import atomic_directory, write_bytes, write_json
from components.models.artefacts import LoadedModel, ModelSpec, save_model
from components.models.networks.costs import count_parameters
from components.models.networks.growth import Grown
from components.models.networks.inheriting import inherit
from components.models.networks.merging import Merged
from components.models.networks.registry import build_network, load_pretrained
from components.models.prediction import predict_logits
from components.training.batches import AugmentationRanges, LabelledPixels, TrainingData
from components.training.config import FamilyConfig, Recipe, TrainingConfig
from components.training.fitting import FitOptions, FitSummary, fit
from components.training.interpolation import tune_coefficient
from components.training.losses import Distance, FlipConstraint
from components.training.switching import let_new_part_through, tune_merging, tune_threshold
from components.training.treatments import Teacher, TreatedLoss

CARD = "candidate.json"
_MEMBER_OFFSET = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CandidateSummary:
    """One trained candidate: its digest, its accuracy on the search split, how it was fitted.

    `tuned` holds what was tuned on search: threshold, share and bias, or coefficient.
    """

    name: str
    digest: str
    search_accuracy: float
    num_parameters: int
    epochs_run: int
    history: tuple[float, ...]
    recipe: Mapping[str, Any]
    tuned: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A candidate to make.

    `champion` is the model whose answers count, `incumbent` the network inside, `start` the one whose function the
    training begins with.
    """

    name: str
    recipe: Recipe
    champion: LoadedModel | None
    incumbent: nn.Module | None
    start: LoadedModel | None
    architecture: Mapping[str, Any]
    seed: int
    made_from: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What all candidates are made from; `scratch` holds checkpoints and survives a kill.

    `champion_right` says which images [N] of `search` the champion has right, where a candidate is tuned by that.
    """

    config: TrainingConfig
    classes: tuple[str, ...]
    data: TrainingData
    search: LabelledPixels
    champion_right: NDArray[np.bool_] | None
    scratch: Path


def make_candidate(job: Job, material: Material, *, out: Path) -> CandidateSummary:
    """Train a candidate into `out/NAME` and return its summary; a killed one goes on from its last epoch."""
    network = _network(job, material)
    num_parameters = count_parameters(network)  # what cannot be counted is refused now, not once all is trained
    options = job.recipe.model_dump(mode="json")
    spec = ModelSpec(
        architecture=job.architecture,
        classes=material.classes,
        size_px=material.config.size_px,
        recipe={"candidate": job.name, "seed": job.seed, "recipe": options},
    )
    material = replace(material, data=material.data.only(job.recipe.use))
    loss = _loss(job, material, spec)
    fitted = _fit(network, job, material, spec, loss=loss)
    tuned = _tune(network, job, material, spec)
    summary = CandidateSummary(
        name=job.name,
        digest="",
        search_accuracy=_accuracy(network, spec, material.search),
        num_parameters=num_parameters,
        epochs_run=fitted.epochs_run,
        history=fitted.history,
        recipe=options,
        tuned=tuned,
    )
    summary = keep_candidate(out, network, spec, summary=summary, made_from=job.made_from)
    for leftover in material.scratch.glob(f"{job.made_from}.*"):
        leftover.unlink()
    return summary


def keep_candidate(
    out: Path, network: nn.Module, spec: ModelSpec, *, summary: CandidateSummary, made_from: str
) -> CandidateSummary:
    """Write a candidate into `out/NAME`, whole or not at all; returns its summary with the model's digest."""
    with atomic_directory(out / summary.name) as partial:
        summary = replace(summary, digest=save_model(partial / "model", network, spec))
        write_json(partial / CARD, {"made_from": made_from, **asdict(summary)})
    return summary


def _network(job: Job, material: Material) -> nn.Module:
    torch.manual_seed(job.seed)
    network = build_network(job.architecture)
    if job.recipe.pretrained and job.recipe.backbone is not None:
        load_pretrained(network.outer if isinstance(network, Grown) else network, job.recipe.backbone)
    if isinstance(network, Grown):
        if job.incumbent is None:
            raise StateError(f"candidate '{job.name}' holds a champion, and none was given; release a plain one first")
        network.inner.load_state_dict(job.incumbent.state_dict())
        let_new_part_through(network)  # while it learns, the new part is scored for itself
    elif job.recipe.interpolate and job.champion is not None:
        network.load_state_dict(job.champion.network.state_dict())
    if job.start is not None:
        trained = network.outer if isinstance(network, Grown) else network
        spec = ModelSpec(architecture=job.architecture, classes=material.classes, size_px=material.config.size_px)
        inherit(trained, spec, old=job.start.network, old_spec=job.start.spec)
    return network


def _loss(job: Job, material: Material, spec: ModelSpec) -> TreatedLoss:
    """The loss of a recipe; a network that holds its incumbent learns from that one without a second copy."""
    recipe = job.recipe
    champion = None
    if recipe.needs_champion and job.incumbent is None and job.champion is not None:
        champion = Teacher([job.champion.network], job.champion.spec, student=spec)
    constraint = None
    if recipe.flip_limit is not None:
        constraint = FlipConstraint(limit=recipe.flip_limit, rate=recipe.dual_rate)
    return TreatedLoss(
        label_smoothing=material.config.label_smoothing,
        weight=recipe.distill_weight,
        distance=distance_of(recipe),
        teacher=_ensemble(job, material, spec) if recipe.teacher == "ensemble" else None,
        incumbent=champion,
        constraint=constraint,
    )


def distance_of(recipe: Recipe) -> Distance:
    """The distance to the teacher's logits that a recipe asks for."""
    return Distance(
        form=recipe.distill_form,
        beta=recipe.distill_beta,
        temperature=recipe.distill_temperature,
        margin=recipe.inhibition_margin,
        power=recipe.inhibition_power,
        top_k=recipe.inhibition_top_k,
    )


def _ensemble(job: Job, material: Material, spec: ModelSpec) -> Teacher:
    """Reseeds of the candidate's own network, trained plainly; each is kept until the candidate is finished."""
    outer = job.architecture["outer"] if job.incumbent is not None else job.architecture
    plain = job.recipe.model_copy(update={"treatment": "plain", "distill_weight": 0.0, "teacher": "champion"})
    plain = plain.model_copy(update={"flip_limit": None, "interpolate": False, "start": "scratch"})
    networks = []
    for index in range(job.recipe.ensemble_size):
        member = replace(
            job,
            recipe=plain,
            incumbent=None,
            start=None,
            architecture=outer,
            seed=job.seed + _MEMBER_OFFSET * (index + 1),
            made_from=f"{job.made_from}.member-{index}",
        )
        networks.append(_member(member, material, replace(spec, architecture=outer)))
    return Teacher(networks, spec, student=spec)


def _member(job: Job, material: Material, spec: ModelSpec) -> nn.Module:
    path = material.scratch / f"{job.made_from}.safetensors"
    network = _network(job, material)
    if path.is_file():
        network.load_state_dict(load_file(path))
        return network
    _fit(network, job, material, spec, loss=TreatedLoss(label_smoothing=material.config.label_smoothing))
    write_bytes(path, save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
    return network


def _fit(network: nn.Module, job: Job, material: Material, spec: ModelSpec, *, loss: TreatedLoss) -> FitSummary:
    return fit(
        network,
        material.data,
        spec,
        options=fit_options(material.config, job.recipe, seed=job.seed),
        loss=loss,
        score=lambda fitted: _accuracy(fitted, spec, material.search),
        checkpoint=material.scratch / f"{job.made_from}.checkpoint",
    )


def fit_options(config: TrainingConfig, recipe: Recipe | FamilyConfig, *, seed: int) -> FitOptions:
    """How a recipe, or a family, is fitted."""
    return FitOptions(
        epochs=recipe.epochs,
        batch=config.batch,
        learning_rate=recipe.learning_rate,
        weight_decay=config.weight_decay,
        patience_epochs=config.patience_epochs,
        seed=seed,
        precision=config.precision,
        device=config.device,
        ranges=AugmentationRanges(zoom=config.zoom, turn_deg=config.turn_deg, mix_share=config.mix_share),
    )


def _tune(network: nn.Module, job: Job, material: Material, spec: ModelSpec) -> dict[str, float]:
    """Set what is chosen on the search split after training, and say what it is."""
    if not job.recipe.is_tuned:
        return {}
    search, target, was_right = material.search, material.config.flip_target, material.champion_right
    assert was_right is not None
    if isinstance(network, Merged):
        share, bias = tune_merging(network, spec, search, was_right, flip_target=target)
        return {"share": share, "bias": bias}
    if isinstance(network, Grown):
        return {"threshold": tune_threshold(network, spec, search, was_right, flip_target=target)}
    assert job.champion is not None
    photos = material.data.photos if len(material.data.photos) else material.data.synthetic
    coefficient = tune_coefficient(
        network,
        job.champion.network.state_dict(),
        spec,
        search=search,
        was_right=was_right,
        calibration=photos.pixels,
        flip_target=target,
    )
    return {"coefficient": coefficient}


def _accuracy(network: nn.Module, spec: ModelSpec, images: LabelledPixels) -> float:
    guesses = predict_logits(network, spec, images.pixels).argmax(axis=1)
    return float(np.mean(guesses == images.labels))

"""Trains the family of a release around its champion, or by itself; an earlier run's from the same inputs is kept."""

from __future__ import annotations

import copy
import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from components.core.digests import digest_json, digest_tree
from components.core.errors import ConfigError, DataError
from components.core.files import read_json, write_json
from components.models.artefacts import LoadedModel, ModelSpec, load_model
from components.models.classes import match_classes
from components.models.identity import model_digest
from components.models.networks.costs import count_multiply_adds
from components.models.networks.inheriting import inherit
from components.models.networks.subnets import Space, space_around
from components.models.networks.supernets import Supernet, family_around, load_supernet, save_supernet
from components.training.candidates import distance_of, fit_options
from components.training.config import Form, Recipe, TrainingConfig
from components.training.family.members import Family
from components.training.family.supernet import MemberBench, SandwichLoss, calibration_images, fit_family
from components.training.fitting import FitSummary
from components.training.losses import FlipConstraint
from components.training.switching import let_new_part_through
from components.training.training import FAMILY, TrainingInputs, champion_right, load_data
from components.training.treatments import Teacher, TreatedLoss

log = logging.getLogger(__name__)
SUPERNET, CARD = "supernet", "family.json"
_SEARCHED = {"evaluations", "method", "candidates"}  # what a family does not depend on


def train_family(inputs: TrainingInputs, config: TrainingConfig, *, out: Path, seed: int) -> Family | str:
    """Train the family into `out/family/supernet`; a killed run goes on from its last epoch, a finished one is read.

    In words, why there is none: this champion does not go into one as `family.champion` and `start` say. DataError
    without images.
    """
    assert config.family is not None
    champion = load_model(inputs.champion) if inputs.champion is not None else None
    form: Form = config.family.champion if champion is not None else "apart"
    data, search = load_data(inputs, config, seed=seed)
    if not len(search):
        raise DataError("there is no image to search the family on; give --photos, or more than a few images a class")
    spec = ModelSpec(architecture={}, classes=inputs.classes, size_px=config.size_px)
    torch.manual_seed(seed)
    try:
        supernet = _lay_out(form, config, champion, spec)
    except (ConfigError, DataError) as error:
        if champion is None:
            raise
        return f"this champion does not go into a family as 'champion: {form}' asks: {error}"
    data = data.only(config.family.use)
    bench = MemberBench(spec=spec, calibration=calibration_images(data, spec), images=search)
    made_from = _digest(inputs, config, champion, seed=seed)
    folder = out / FAMILY
    card, checkpoint = _finished(folder, made_from), inputs.scratch / f"{made_from}.checkpoint"
    if card is None:
        options = fit_options(config, config.family, seed=seed)
        loss = _loss(supernet.space, config, champion, spec)
        fitted = fit_family(supernet, data, bench=bench, options=options, loss=loss, checkpoint=checkpoint)
        card = _keep(folder, supernet, spec, fitted=fitted, made_from=made_from)
    checkpoint.unlink(missing_ok=True)
    return Family(
        form=form,
        supernet=load_supernet(folder / SUPERNET, digest=card["digest"])[0],
        spec=spec,
        made_from=made_from,
        seed=seed,
        config=config.family,
        champion=champion,
        champion_right=np.zeros(len(search), bool) if champion is None else champion_right(inputs, champion, seed=seed),
        bench=bench,
        history=tuple(card["history"]),
    )


def _lay_out(form: Form, config: TrainingConfig, champion: LoadedModel | None, spec: ModelSpec) -> Supernet:
    """The untrained family; ConfigError or DataError where this champion does not go into one of this form."""
    family = config.family
    assert family is not None
    sizes = config.family_sizes_px
    if champion is None or form in ("merged", "apart"):
        if champion is not None:
            match_classes(champion.spec.classes, spec.classes)
        if champion is not None and form == "merged":
            count_multiply_adds(champion.network, champion.spec.size_px)  # refused now, not once all is trained
        supernet = Supernet(family.space(sizes, num_classes=len(spec.classes)))
        if champion is not None and family.start == "champion":
            inherit(supernet.largest, spec, old=champion.network, old_spec=champion.spec)
        return supernet
    space = space_around(
        champion.spec.architecture,
        sizes_px=sizes,
        width_factor=family.width_factor,
        extra_depth=family.extra_depth,
        wider=form == "widened",
    )
    space = replace(space, num_classes=len(spec.classes))
    if form == "widened":
        if sizes != (champion.spec.size_px,):
            raise ConfigError(
                f"what grows around a champion reads images of the champion's side, {champion.spec.size_px} px, got "
                f"{list(sizes)}; set size_px to it and leave sizes_px out, or choose merged"
            )
        supernet = family_around(champion, spec, space)
        let_new_part_through(supernet.largest)  # while it learns, the new part is scored for itself
        return supernet
    if (champion.spec.mean, champion.spec.std) != (spec.mean, spec.std):
        raise ConfigError("the champion reads images normalised otherwise, so its weights are of no use here")
    match = match_classes(champion.spec.classes, spec.classes)
    supernet = Supernet(space)
    rows = None if match.same else list(match.new_of_old)
    supernet.share(champion.network.state_dict(), rows=rows, keep=True)
    return supernet


def _loss(space: Space, config: TrainingConfig, champion: LoadedModel | None, spec: ModelSpec) -> SandwichLoss:
    """The largest member learns by the labels and, where asked and there is one, by the champion's answers."""
    family = config.family
    assert family is not None
    first = TreatedLoss(label_smoothing=config.label_smoothing)
    if champion is not None and family.learns_from_champion:
        teacher = copy.deepcopy(champion.network)  # it is put into another memory format, which moves last bits
        recipe = Recipe(distill_form=family.distill_form)
        limit = family.flip_limit
        first = TreatedLoss(
            label_smoothing=config.label_smoothing,
            weight=family.distill_weight,
            distance=distance_of(recipe),
            incumbent=Teacher([teacher], champion.spec, student=spec),
            constraint=FlipConstraint(limit=limit, rate=recipe.dual_rate) if limit is not None else None,
        )
    return SandwichLoss(space=space, first=first, num_random=family.num_random)


def _digest(inputs: TrainingInputs, config: TrainingConfig, champion: LoadedModel | None, *, seed: int) -> str:
    """Of all that the trained family and what it reaches on search depend on."""
    assert config.family is not None
    made_from = [
        config.family.model_dump(mode="json", exclude=_SEARCHED),
        config.model_dump(mode="json", exclude={"candidates", "reseed", "family"}),
        inputs.code,
        list(inputs.classes),
        champion.digest if champion is not None else None,
        [digest_tree(folder, "*.parquet") for folder in (inputs.train, inputs.search, inputs.synthetic)],
        seed,
    ]
    return digest_json(made_from)


def _finished(folder: Path, made_from: str) -> dict[str, Any] | None:
    """The card of a family that an earlier run finished from the very same inputs."""
    if not (folder / CARD).is_file() or not (folder / SUPERNET).is_dir():
        return None
    card = read_json(folder / CARD)
    if card.get("made_from") != made_from or card.get("digest") != model_digest(folder / SUPERNET):
        return None
    log.info("the family is already trained from these inputs")
    return card


def _keep(folder: Path, supernet: Supernet, spec: ModelSpec, *, fitted: FitSummary, made_from: str) -> dict[str, Any]:
    """Write the trained family down; what an earlier family left in the folder goes."""
    shutil.rmtree(folder, ignore_errors=True)
    digest = save_supernet(folder / SUPERNET, supernet, spec)
    card = {"made_from": made_from, "digest": digest, "epochs_run": fitted.epochs_run, "history": list(fitted.history)}
    write_json(folder / CARD, card)
    return card

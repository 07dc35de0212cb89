"""Trains networks and keeps each one: weights, logits on search and final, seconds; a second run trains nothing twice.

A network's folder is named by the digest of all that it was made from. Fits are checkpointed after each epoch, and the
core seconds of a fit that was killed are added up over its runs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from components.core.digests import digest_json
from components.core.files import atomic_directory, atomic_path, read_json, write_json
from components.core.progress import track
from components.models.artefacts import ModelSpec, load_model, save_model
from components.models.networks.costs import count_multiply_adds, count_parameters
from components.models.networks.inheriting import inherit
from components.models.networks.registry import build_network
from components.models.prediction import predict_logits
from components.training.batches import AugmentationRanges, TrainingData
from components.training.candidates import distance_of
from components.training.config import Device, Recipe
from components.training.devices import choose_device, uses_bf16
from components.training.fitting import FitOptions, fit
from components.training.interpolation import tune_coefficient
from components.training.losses import FlipConstraint
from components.training.treatments import Teacher, TreatedLoss
from tests.benchmarks.flips.images import Images
from tests.benchmarks.workers import settle

RANGES = AugmentationRanges(zoom=0.8, turn_deg=5.0, mix_share=0.0)
BATCH, LEARNING_RATE, WEIGHT_DECAY = 128, 0.008, 0.05


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Trained:
    """A network on disk: logits [N, C] on both splits, its costs, and the core seconds that its fit took."""

    folder: Path
    digest: str
    architecture: Mapping[str, Any]
    search: NDArray[np.float32]
    final: NDArray[np.float32]
    core_s: float
    multiply_adds: int
    num_parameters: int

    def network(self) -> tuple[nn.Module, ModelSpec]:
        """The network in eval mode, and its spec."""
        model = load_model(self.folder / "model")
        return model.network, model.spec


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to train: an architecture by a recipe, beside a champion and perhaps an ensemble of teachers."""

    architecture: Mapping[str, Any]
    recipe: Recipe
    seed: int
    champion: Trained | None = None
    ensemble: tuple[Trained, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """Where networks are trained: on which images, for how many epochs, how many images a step."""

    images: Images
    home: Path
    epochs: int
    batch: int = BATCH
    device: Device = "cpu"
    say: Callable[[str], None] = print

    def spec(self, architecture: Mapping[str, Any]) -> ModelSpec:
        """The spec of a network for these images."""
        return ModelSpec(architecture=architecture, classes=self.images.classes, size_px=self.images.size_px)

    def options(self, seed: int) -> FitOptions:
        """How every network is fitted: the same for all."""
        return FitOptions(
            epochs=self.epochs,
            batch=self.batch,
            learning_rate=LEARNING_RATE,
            weight_decay=WEIGHT_DECAY,
            patience_epochs=self.epochs,
            seed=seed,
            precision="auto",
            device=self.device,
            ranges=RANGES,
        )

    @property
    def arithmetic(self) -> tuple[str, bool]:
        """The kind of device that networks are trained on, and whether in bf16."""
        device = choose_device(self.device)
        return device.type, uses_bf16("auto", device)

    def data(self) -> TrainingData:
        """The training images; none are synthetic."""
        nothing = self.images.train.where(np.zeros(len(self.images.train), bool))
        return TrainingData(photos=self.images.train, synthetic=nothing, synthetic_share=0.0)

    def train(self, order: Order) -> Trained:
        """Train a network, or take it from an earlier run."""
        folder = self.home / self._key(order)
        if not self._is_trained(order):
            self._fit(order, folder, folder.name)
        return load_trained(folder)

    def train_all(self, orders: Iterable[Order]) -> None:
        """Train what no earlier run did, one network a core, a thread each."""
        missing = {self._key(order): order for order in orders if not self._is_trained(order)}
        workers = min(len(missing), os.cpu_count() or 1)
        if workers < 2:
            return
        self.say(f"training {len(missing)} networks, {workers} at a time")
        with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_settle, initargs=(self,)) as pool:
            list(track(pool.map(_train_one, missing.values()), "Networks", total=len(missing)))

    def keep(self, folder: Path, network: nn.Module, spec: ModelSpec, *, core_s: float, made_from: str) -> Trained:
        """Write a network with its logits and costs, and read it back."""
        with atomic_directory(folder) as partial:
            save_model(partial / "model", network, spec)
            logits = {
                name: predict_logits(network, spec, part.pixels)
                for name, part in (("search", self.images.search), ("final", self.images.final))
            }
            with atomic_path(partial / "logits.npz") as path, path.open("wb") as file:
                np.savez(file, **logits)
            row = {
                "architecture": dict(spec.architecture),
                "core_s": core_s,
                "multiply_adds": count_multiply_adds(network, spec.size_px),
                "num_parameters": count_parameters(network),
                "made_from": made_from,
            }
            write_json(partial / "row.json", row)
        return load_trained(folder)

    def _is_trained(self, order: Order) -> bool:
        return (self.home / self._key(order) / "row.json").is_file()

    def _key(self, order: Order) -> str:
        made_from = [
            self.images.digest,
            self.epochs,
            dict(order.architecture),
            order.recipe.model_dump(mode="json"),
            order.seed,
            order.champion.digest if order.champion is not None else None,
            [member.digest for member in order.ensemble],
            [self.batch, LEARNING_RATE, WEIGHT_DECAY, *self.arithmetic],
        ]
        return digest_json(made_from)[:24]

    def _fit(self, order: Order, folder: Path, key: str) -> None:
        torch.manual_seed(order.seed)
        network = build_network(order.architecture)
        spec = self.spec(order.architecture)
        if order.recipe.interpolate:
            assert order.champion is not None
            network.load_state_dict(order.champion.network()[0].state_dict())
        if order.recipe.start == "champion":
            assert order.champion is not None
            old, old_spec = order.champion.network()
            inherit(network, spec, old=old, old_spec=old_spec)
        clock = CoreClock(self.home / f"{key}.seconds.json")
        checkpoint = self.home / f"{key}.checkpoint"
        fit(
            network,
            self.data(),
            spec,
            options=self.options(order.seed),
            loss=_loss(order, spec),
            score=clock.tick,  # the last epoch is taken: nothing is chosen on search while training
            checkpoint=checkpoint,
        )
        if order.recipe.interpolate:
            _move_back(network, spec, order, self.images)
        trained = self.keep(folder, network, spec, core_s=clock.seconds, made_from=key)
        checkpoint.unlink()
        clock.forget()
        right = float((trained.search.argmax(1) == self.images.search.labels).mean())
        self.say(f"  trained {key[:8]} seed {order.seed}: {right:.2%} on search, {clock.seconds:.0f} core s")


_labs: list[Lab] = []  # the one lab of a worker process; it holds all images, and is sent once


def _settle(lab: Lab) -> None:
    settle()
    _labs[:] = [lab]


def _train_one(order: Order) -> None:
    _labs[0].train(order)


class CoreClock:
    """Core seconds of a fit, kept on disk after each epoch so that a kill does not lose them."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.seconds = float(read_json(path)["seconds"]) if path.is_file() else 0.0
        self._since = time.process_time()

    def tick(self, _: nn.Module) -> float:
        """Note the time; a score that never changes."""
        now = time.process_time()
        self.seconds, self._since = self.seconds + now - self._since, now
        write_json(self._path, {"seconds": self.seconds})
        return 0.0

    def forget(self) -> None:
        """The fit is done and its seconds stand elsewhere."""
        self._path.unlink(missing_ok=True)


def load_trained(folder: Path) -> Trained:
    """Read back what `Lab.keep` wrote."""
    row = read_json(folder / "row.json")
    with np.load(folder / "logits.npz", allow_pickle=False) as logits:
        search, final = logits["search"], logits["final"]
    return Trained(
        folder=folder,
        digest=str(row["made_from"]),
        architecture=row["architecture"],
        search=search,
        final=final,
        core_s=row["core_s"],
        multiply_adds=row["multiply_adds"],
        num_parameters=row["num_parameters"],
    )


def treated_loss(
    recipe: Recipe, spec: ModelSpec, *, champion: Trained | None, ensemble: Sequence[Trained]
) -> TreatedLoss:
    """The product's loss for a recipe."""
    asked = Teacher([champion.network()[0]], spec, student=spec) if champion is not None else None
    limit = recipe.flip_limit
    return TreatedLoss(
        label_smoothing=0.0,
        weight=recipe.distill_weight,
        distance=distance_of(recipe),
        teacher=Teacher([member.network()[0] for member in ensemble], spec, student=spec) if ensemble else None,
        incumbent=asked if recipe.needs_champion else None,
        constraint=FlipConstraint(limit=limit, rate=recipe.dual_rate) if limit is not None else None,
    )


def _loss(order: Order, spec: ModelSpec) -> TreatedLoss:
    """Where weights are interpolated the flip limit is a target for that, and no constraint while training."""
    recipe = order.recipe.model_copy(update={"flip_limit": None}) if order.recipe.interpolate else order.recipe
    return treated_loss(recipe, spec, champion=order.champion, ensemble=order.ensemble)


def _move_back(network: nn.Module, spec: ModelSpec, order: Order, images: Images) -> None:
    assert order.champion is not None
    old = order.champion.network()[0].state_dict()
    flips = float(order.recipe.flip_limit or 0.02)
    tune_coefficient(
        network,
        old,
        spec,
        search=images.search,
        was_right=order.champion.search.argmax(axis=1) == images.search.labels,
        calibration=images.train.pixels,
        flip_target=flips,
    )

"""A classifier on disk: `model.safetensors` (weights) beside `model.json` (architecture, classes, input).

The artefact of the classification kit (`identity.py` says what any artefact is): its digest covers both files, so that
one changed weight or class name is another model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn

from components.core.errors import DataError, IntegrityError
from components.core.files import atomic_directory, read_json, write_bytes, write_json
from components.models.identity import CARD, WEIGHTS, model_digest
from components.models.networks.registry import build_network

SCHEMA_VERSION = 1
Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a network is, apart from its weights.

    `mean` and `std` are per RGB channel on the scale 0..1; `recipe` says how the weights came to be.
    """

    architecture: Mapping[str, Any]
    classes: tuple[str, ...]
    size_px: int
    mean: Triple = (0.485, 0.456, 0.406)
    std: Triple = (0.229, 0.224, 0.225)
    recipe: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedModel:
    """A network in eval mode with its spec and its digest."""

    network: nn.Module
    spec: ModelSpec
    digest: str


def save_model(folder: Path, network: nn.Module, spec: ModelSpec) -> str:
    """Write a model to `folder` atomically and return its digest."""
    tensors = {name: tensor.detach().contiguous().cpu() for name, tensor in network.state_dict().items()}
    card = {
        "schema": SCHEMA_VERSION,
        "architecture": dict(spec.architecture),
        "classes": list(spec.classes),
        "input": {"size_px": spec.size_px, "mean": list(spec.mean), "std": list(spec.std)},
        "recipe": dict(spec.recipe),
    }
    with atomic_directory(folder) as partial:
        write_bytes(partial / WEIGHTS, save(tensors))
        write_json(partial / CARD, card)
    return model_digest(folder)


def read_spec(folder: Path) -> ModelSpec:
    """The spec of a model on disk, without its weights."""
    card = read_json(folder / CARD)
    if card.get("schema") != SCHEMA_VERSION:
        raise DataError(f"{folder / CARD}: schema {card.get('schema')!r}, this version reads {SCHEMA_VERSION}")
    mean, std = read_normalisation(card.get("input"), folder / CARD)
    try:
        return ModelSpec(
            architecture=card["architecture"],
            classes=tuple(card["classes"]),
            size_px=int(card["input"]["size_px"]),
            mean=mean,
            std=std,
            recipe=card.get("recipe", {}),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{folder / CARD}: field {error} is missing or malformed") from error


def read_normalisation(image: object, path: Path) -> tuple[Triple, Triple]:
    """The `mean` and `std` of a card's `input`, per channel on the scale 0..1.

    DataError names the card and the field where one is not three finite numbers, or not on that scale.
    """
    given = image if isinstance(image, Mapping) else {}
    mean, std = (_triple(given.get(field), f"{path}: input.{field}") for field in ("mean", "std"))
    if min(std) <= 0 or max(map(abs, mean)) > 1.5:
        raise DataError(
            f"{path}: input.mean {mean} and input.std {std} must be on the scale 0..1, std above 0; "
            "divide values of 0..255 by 255"
        )
    return mean, std


def load_model(folder: Path, *, digest: str | None = None) -> LoadedModel:
    """Load a model in eval mode; IntegrityError when `digest` is given and does not match."""
    found = model_digest(folder)
    if digest is not None and digest != found:
        raise IntegrityError(f"the model at {folder} has digest {found[:12]}, expected {digest[:12]}: it was changed")
    spec = read_spec(folder)
    network = build_network(spec.architecture)
    try:
        network.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        raise DataError(f"{folder / WEIGHTS} does not fit its architecture: {error}") from error
    return LoadedModel(network=network.eval(), spec=spec, digest=found)


def _triple(values: object, name: str) -> Triple:
    numbers = values if isinstance(values, list) else []
    good = [v for v in numbers if isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)]
    if len(numbers) != 3 or len(good) != 3:
        raise DataError(
            f"{name} is {values!r}, expected three finite numbers on the scale 0..1, one a channel; "
            "put in those that the network was trained with"
        )
    first, second, third = map(float, good)
    return first, second, third

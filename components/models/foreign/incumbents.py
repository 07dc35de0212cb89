"""Brings an incumbent in, ours or from elsewhere, and makes it the frozen inner part of a larger network.

From elsewhere means a `.safetensors`, `.onnx` or `.pt2` file with a card of the same name and the ending `.json`:

    {"classes": ["cat", "dog"],
     "input": {"size_px": 32, "mean": [0.5, 0.5, 0.5], "std": [0.2, 0.2, 0.2], "channel_order": "rgb"},
     "output": "logits",                      # or "probabilities"
     "architecture": {"family": "convnet"}}   # of safetensors alone: one of our families, with its fields

`mean` and `std` are on the scale 0..1 in the order in which the network reads the channels. No pickle is loaded.
What comes back is a model like any other: it predicts, it is saved as an artefact, a Bento serves it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from components.core.digests import digest_file, digest_json
from components.core.errors import ConfigError, DataError, SourceError
from components.core.files import read_json
from components.models.artefacts import LoadedModel, ModelSpec, load_model, read_normalisation
from components.models.classes import match_classes
from components.models.foreign.adapters import Adapted
from components.models.foreign.export_archives import read_exported
from components.models.foreign.onnx_networks import read_onnx
from components.models.identity import CARD
from components.models.networks.registry import Architecture, build_network
from components.models.networks.widening import Widened

_FIELDS = {"classes", "input", "output", "architecture"}
_INPUT_FIELDS = {"size_px", "mean", "std", "channel_order"}
_ORDERS = ("rgb", "bgr")
_OUTPUTS = ("logits", "probabilities")

Program = tuple[dict[str, Any], dict[str, Tensor]]


def load_incumbent(path: Path) -> LoadedModel:
    """Load a model folder of ours, or a file from elsewhere with its card, frozen and in eval mode.

    SourceError when there is nothing to load; DataError when card, weights and program do not fit together: the
    network is run once on two blank images and must give one finite row of logits each.
    """
    if (path / CARD).is_file():
        model = load_model(path)
        model.network.requires_grad_(False)
        return model
    reader = READERS.get(path.suffix)
    if reader is None or not path.is_file():
        raise SourceError(
            f"no incumbent at {path}: give a model folder (with {CARD}) or a file that ends in {', '.join(READERS)}"
        )
    card_path = path.with_suffix(".json")
    if not card_path.is_file():
        raise SourceError(f"{path} has no card: put its classes and its input into {card_path.name} beside it")
    card = read_json(card_path)
    spec = _spec(card, card_path)
    architecture, state = reader(path, card)
    architecture = _wrapped(architecture, card)
    network = build_network(architecture)
    _fill(network, state, path, wrapped=architecture["family"] == "adapted")
    _probe(network, spec, path)
    digest = digest_json([digest_file(path), digest_file(card_path)])
    return LoadedModel(network=network, spec=replace(spec, architecture=architecture), digest=digest)


def grow_around(
    incumbent: LoadedModel, target: ModelSpec, *, widths: Sequence[int], blocks: Sequence[int], kernels: Sequence[int]
) -> tuple[Widened, ModelSpec]:
    """New channels around a frozen convnet, reading its channels and never read by them; its function is kept.

    `widths` and `blocks` count old and new. ConfigError for an incumbent that is no convnet or reads another input.
    """
    inner, inner_architecture = as_inner(incumbent, target)
    shape = {"widths": list(widths), "blocks": list(blocks), "kernels": list(kernels)}
    own = {"family": "widened", "num_classes": len(target.classes), **shape}
    try:
        network = Widened(inner, num_classes=len(target.classes), widths=widths, blocks=blocks, kernels=kernels)
    except ValueError as error:
        raise ConfigError(f"cannot grow around this incumbent: {error}") from error
    return network, _grown_spec(target, inner_architecture, own)


def as_inner(incumbent: LoadedModel, target: ModelSpec) -> tuple[nn.Module, Mapping[str, Any]]:
    """A copy of the incumbent for a network with the target's classes and input; bare where nothing differs."""
    spec = incumbent.spec
    changes: dict[str, Any] = {}
    match = match_classes(spec.classes, target.classes)
    if not match.same:
        changes["index"] = list(match.old_of_new)
    given, wanted = _input(target), _input(spec)
    if given != wanted:
        changes |= {"given": given, "wanted": wanted}
    network = copy.deepcopy(incumbent.network)  # training changes the memory format of what it is given
    if not changes:
        return network, spec.architecture
    architecture = {"family": "adapted", "inner": dict(spec.architecture), **changes}
    return Adapted(network, **changes).eval(), architecture


def _grown_spec(target: ModelSpec, inner: Architecture, own: Mapping[str, Any]) -> ModelSpec:
    return replace(target, architecture={**own, "inner": dict(inner)})


def _input(spec: ModelSpec) -> dict[str, Any]:
    return {"size_px": spec.size_px, "mean": list(spec.mean), "std": list(spec.std)}


def _read_safetensors(path: Path, card: Mapping[str, Any]) -> Program:
    architecture = card.get("architecture")
    if not isinstance(architecture, Mapping):
        raise DataError(f"the card of {path} names no architecture; safetensors hold weights alone, so name a family")
    if architecture.get("num_classes") not in (None, len(card["classes"])):
        raise DataError(
            f"the card of {path} names {len(card['classes'])} classes and an architecture of "
            f"{architecture['num_classes']}; they must agree"
        )
    try:
        return {**architecture, "num_classes": len(card["classes"])}, load_file(path)
    except SafetensorError as error:
        raise DataError(f"{path} is not a readable safetensors file ({error}); copy or export it again") from error


READERS: dict[str, Callable[[Path, Mapping[str, Any]], Program]] = {
    ".safetensors": _read_safetensors,
    ".onnx": lambda path, _: read_onnx(path),
    ".pt2": lambda path, _: read_exported(path),
}


def _wrapped(architecture: Mapping[str, Any], card: Mapping[str, Any]) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if card["input"].get("channel_order", "rgb") == "bgr":
        changes["bgr"] = True
    if card.get("output", "logits") != "logits":
        changes["output"] = card["output"]
    return {"family": "adapted", "inner": dict(architecture), **changes} if changes else dict(architecture)


def _fill(network: nn.Module, state: Mapping[str, Tensor], path: Path, *, wrapped: bool) -> None:
    prefix = "inner." if wrapped else ""
    try:
        network.load_state_dict({f"{prefix}{name}": tensor for name, tensor in state.items()})
    except RuntimeError as error:
        raise DataError(f"the weights in {path} do not fit the architecture in its card: {error}") from error
    network.requires_grad_(False).eval()


def _probe(network: nn.Module, spec: ModelSpec, path: Path) -> None:
    images = torch.zeros(2, 3, spec.size_px, spec.size_px)
    try:
        with torch.inference_mode():
            logits = network(images)
    except Exception as error:  # whatever a foreign program raises, the card or the export is at fault
        raise DataError(
            f"{path} does not run on images [2, 3, {spec.size_px}, {spec.size_px}]: {error}; "
            "set input.size_px in its card to the side it was exported for, with a batch that may vary"
        ) from error
    wanted = (2, len(spec.classes))
    if tuple(logits.shape) != wanted:
        raise DataError(
            f"{path} puts out {tuple(logits.shape)} for two images, expected {wanted}: its card names "
            f"{len(spec.classes)} classes; list every class in the order of its outputs"
        )
    if not bool(torch.isfinite(logits).all()):
        raise DataError(f"{path} puts out values that are not finite for blank images; check 'output' in its card")


def _spec(card: Mapping[str, Any], path: Path) -> ModelSpec:
    """The spec that a card describes, its normalisation in the order red, green, blue."""
    _check_fields(card, _FIELDS, path, where="")
    classes, image = card.get("classes"), card.get("input")
    named = isinstance(classes, list) and bool(classes) and all(isinstance(name, str) and name for name in classes)
    if not named or len(set(classes or ())) != len(classes or ()):
        raise DataError(f"{path}: classes is {classes!r}, expected the names in the order of the outputs, each once")
    if not isinstance(image, Mapping):
        raise DataError(f"{path}: input is {image!r}, expected an object with {', '.join(sorted(_INPUT_FIELDS))}")
    _check_fields(image, _INPUT_FIELDS, path, where="input.")
    size, order = image.get("size_px"), image.get("channel_order", "rgb")
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise DataError(f"{path}: input.size_px is {size!r}, expected the side in pixels as a whole number above 0")
    for field, value, allowed in (
        ("input.channel_order", order, _ORDERS),
        ("output", card.get("output", "logits"), _OUTPUTS),
    ):
        if value not in allowed:
            raise DataError(f"{path}: {field} is {value!r}, allowed: {', '.join(allowed)}")
    mean, std = read_normalisation(image, path)
    if order == "bgr":
        mean, std = mean[::-1], std[::-1]
    return ModelSpec(architecture={}, classes=tuple(classes or ()), size_px=size, mean=mean, std=std)


def _check_fields(given: Mapping[str, Any], known: set[str], path: Path, *, where: str) -> None:
    strange = sorted(set(given) - known)
    if strange:
        raise DataError(f"{path}: unknown field {where}{strange[0]}, known: {', '.join(sorted(known))}")

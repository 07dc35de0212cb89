"""The supernet: one set of weights in which every member of a nested family is a slice.

A member runs through the very code of the network that stands alone, fed with slices of the supernet's tensors; what
`extract` returns therefore answers bit for bit as its slice does in eval mode. Works for every family whose
architecture names `widths`, `blocks` and `kernels` and whose members grow at the end of each dimension.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from components.core.digests import digest_json
from components.core.errors import DataError
from components.models.artefacts import LoadedModel, ModelSpec, load_model, save_model
from components.models.foreign.incumbents import grow_around
from components.models.networks.calibration import resized
from components.models.networks.growth import Grown
from components.models.networks.registry import Architecture, build_network
from components.models.networks.slicing import State, is_statistic, share_weights, take
from components.models.networks.subnets import (
    Space,
    SubnetSpec,
    architecture_of,
    largest,
    space_from_json,
    to_genes,
)


class Supernet(nn.Module):
    """The largest member, from which every other one is sliced.

    `frame` is the architecture apart from what the family varies; without it, the members are ordinary convnets.
    """

    def __init__(self, space: Space, frame: Architecture | None = None) -> None:
        super().__init__()
        self.space = space
        self._frame = dict(frame or architecture_of(space, largest(space)))
        self.largest = build_network(self.architecture(largest(space)))
        self._templates: dict[str, nn.Module] = {}
        self._kept: dict[str, Tensor] = {}
        self._rows: list[int] | None = None

    def architecture(self, spec: SubnetSpec) -> dict[str, Any]:
        """The architecture of a member as a network of its own; ConfigError when it is not in the space."""
        to_genes(self.space, spec)
        return {**self._frame, "widths": list(spec.widths), "blocks": list(spec.depths), "kernels": list(spec.kernels)}

    def forward(self, x: Tensor, spec: SubnetSpec | None = None) -> Tensor:
        """Logits [N, num_classes] of a member (the largest one if None) on images [N, 3, S, S], resized to its side."""
        chosen = spec or largest(self.space)
        self.restore_kept()
        logits: Tensor = functional_call(self._template(chosen), self._sliced(chosen), (resized(x, chosen.size_px),))
        return logits

    def trained_logits(self, x: Tensor, spec: SubnetSpec | None = None) -> Tensor:
        """As `forward`, but of what is trained: around an incumbent, the new part alone.

        In training mode the running statistics follow the largest member and no other.
        """
        chosen = spec or largest(self.space)
        self.restore_kept()
        x = resized(x, chosen.size_px)
        if _same_weights(chosen, largest(self.space)):
            return _trained_part(self.largest, x)
        state = {f"network.{name}": tensor for name, tensor in self._sliced(chosen).items()}
        logits: Tensor = functional_call(_TrainedPart(self._template(chosen)), state, (x,))
        return logits

    def slice_state(self, spec: SubnetSpec) -> dict[str, Tensor]:
        """A member's tensors, detached copies in the plain memory format, as a network of its own has them."""
        self.restore_kept()
        views = take(self.largest.state_dict(), self._template(spec).state_dict())
        return {name: _plain(tensor.detach()) for name, tensor in views.items()}

    def share(self, incumbent: State, *, rows: list[int] | None = None, keep: bool = False) -> None:
        """Start from an incumbent's weights: its slice equals them (see `share_weights`).

        With `keep` they stay its bytes for ever, whatever is trained: every larger member then contains it.
        """
        share_weights(self.largest.state_dict(), incumbent, rows=rows)
        if keep:
            self._kept = {name: tensor.detach().clone() for name, tensor in incumbent.items() if not is_statistic(name)}
            self._rows = rows

    def restore_kept(self) -> None:
        """Undo what an optimiser's step did to weights that are to stay: weight decay reaches them too."""
        if self._kept:
            share_weights(self.largest.state_dict(), self._kept, rows=self._rows)

    def _template(self, spec: SubnetSpec) -> nn.Module:
        architecture = self.architecture(spec)
        key = digest_json(architecture)
        if key not in self._templates:
            with torch.device("meta"):
                self._templates[key] = build_network(architecture)
        return self._templates[key]

    def _sliced(self, spec: SubnetSpec) -> dict[str, Tensor]:
        template = self._template(spec).train(self.training)
        views = take(_tensors(self.largest), _tensors(template))
        if not self.training:
            return {name: _plain(view) for name, view in views.items()}
        return {name: view.clone() if is_statistic(name) else view for name, view in views.items()}


def family_around(incumbent: LoadedModel, target: ModelSpec, space: Space) -> Supernet:
    """A family in which every member has the frozen incumbent inside and its function kept (see `widening`).

    `space` counts old and new channels and must exceed the incumbent's (`subnets.space_around` with `wider`).
    """
    full = largest(space)
    network, spec = grow_around(incumbent, target, widths=full.widths, blocks=full.depths, kernels=full.kernels)
    supernet = Supernet(space, spec.architecture)
    supernet.largest.load_state_dict(network.state_dict())
    return supernet


def extract(supernet: Supernet, spec: SubnetSpec) -> tuple[nn.Module, dict[str, Any]]:
    """A member as an ordinary network in eval mode, and its architecture for the artefact.

    It shares no memory with the supernet. Its statistics are the supernet's: `calibrate` gives it its own.
    """
    architecture = supernet.architecture(spec)
    network = build_network(architecture)
    network.load_state_dict(supernet.slice_state(spec))
    return network.eval(), architecture


def save_supernet(folder: Path, supernet: Supernet, spec: ModelSpec) -> str:
    """Write the supernet as its largest member's artefact, with the space in the recipe; returns the digest."""
    supernet.restore_kept()
    recipe = {**spec.recipe, "space": supernet.space.to_json()}
    full = largest(supernet.space)
    architecture = supernet.architecture(full)
    whole = replace(spec, architecture=architecture, size_px=full.size_px, recipe=recipe)
    return save_model(folder, supernet.largest, whole)


def load_supernet(folder: Path, *, digest: str | None = None) -> tuple[Supernet, ModelSpec]:
    """A supernet from disk, in eval mode; DataError when the artefact holds no space."""
    model = load_model(folder, digest=digest)
    described: Mapping[str, Any] | None = model.spec.recipe.get("space")
    if described is None:
        raise DataError(f"the model at {folder} is no supernet: its recipe names no space; train a family first")
    supernet = Supernet(space_from_json(described), model.spec.architecture)
    supernet.largest.load_state_dict(model.network.state_dict())
    return supernet.eval(), model.spec


class _TrainedPart(nn.Module):
    """A network whose output is what is trained of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        return _trained_part(self.network, x)


def _trained_part(network: nn.Module, x: Tensor) -> Tensor:
    logits: Tensor = network.parts(x)[1] if isinstance(network, Grown) else network(x)
    return logits


def _tensors(network: nn.Module) -> dict[str, Tensor]:
    """Parameters and all buffers, also those that no state dict holds."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _plain(tensor: Tensor) -> Tensor:
    """A copy with standard strides: convolutions choose their algorithm by strides, and bits follow."""
    return tensor.clone(memory_format=torch.contiguous_format)


def _same_weights(one: SubnetSpec, other: SubnetSpec) -> bool:
    return replace(one, size_px=0) == replace(other, size_px=0)

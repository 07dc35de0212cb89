"""The network families by name: an architecture (plain dict) in, an untrained network out.

To add a family, write a builder `(architecture) -> nn.Module` and name it in FAMILIES.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from components.core.errors import ConfigError, UnavailableError
from components.models.foreign.adapters import Adapted
from components.models.foreign.exported import ExportedNetwork
from components.models.foreign.onnx_networks import OnnxNetwork
from components.models.networks.convnets import ConvNet, default_kernels
from components.models.networks.growth import Grown
from components.models.networks.merging import Merged
from components.models.networks.widening import Widened

Architecture = Mapping[str, Any]


def build_network(architecture: Architecture) -> nn.Module:
    """Build the network that `architecture` describes; ConfigError names an unknown family or bad fields."""
    family = architecture.get("family")
    if family not in FAMILIES:
        raise ConfigError(f"unknown network family {family!r}, known: {', '.join(sorted(FAMILIES))}")
    try:
        return FAMILIES[family](architecture)
    except ConfigError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"architecture of family '{family}' is not usable: {error!r} in {dict(architecture)}"
        ) from error


def with_defaults(architecture: Architecture) -> Architecture:
    """The architecture with what a convnet leaves out written down: of equal ones, the same weights fit."""
    if architecture.get("family") != "convnet":
        return architecture
    sides = architecture.get("kernels") or default_kernels(len(architecture["widths"]))
    return {"stem_stride": 1, **architecture, "kernels": list(sides)}


def load_pretrained(network: nn.Module, name: str) -> None:
    """Fill a torchvision network with its published weights, all but the last layer; needs a download."""
    import torchvision

    try:
        published = torchvision.models.get_model_weights(name).DEFAULT.get_state_dict(progress=False)
    except OSError as error:
        raise UnavailableError(
            f"the pretrained weights of {name} could not be downloaded ({error}); "
            "set pretrained to false, or put the file into torch's hub folder (TORCH_HOME)"
        ) from error
    own = network.state_dict()
    network.load_state_dict({**own, **{k: v for k, v in published.items() if k in own and v.shape == own[k].shape}})


def _build_convnet(architecture: Architecture) -> nn.Module:
    return ConvNet(
        num_classes=architecture["num_classes"],
        widths=architecture["widths"],
        blocks=architecture["blocks"],
        stem_stride=architecture.get("stem_stride", 1),
        kernels=architecture.get("kernels"),
    )


def _build_grown(architecture: Architecture) -> nn.Module:
    return Grown(build_network(architecture["inner"]), build_network(architecture["outer"]))


def _build_merged(architecture: Architecture) -> nn.Module:
    return Merged(build_network(architecture["inner"]), build_network(architecture["outer"]))


def _build_widened(architecture: Architecture) -> nn.Module:
    return Widened(
        build_network(architecture["inner"]),
        num_classes=architecture["num_classes"],
        widths=architecture["widths"],
        blocks=architecture["blocks"],
        kernels=architecture["kernels"],
    )


def _build_adapted(architecture: Architecture) -> nn.Module:
    options = {name: value for name, value in architecture.items() if name not in ("family", "inner", "num_classes")}
    return Adapted(build_network(architecture["inner"]), **options)


def _build_exported(architecture: Architecture) -> nn.Module:
    return ExportedNetwork(architecture)


def _build_onnx(architecture: Architecture) -> nn.Module:
    return OnnxNetwork(num_bytes=architecture["num_bytes"], batch=architecture.get("batch"))


def _build_torchvision(architecture: Architecture) -> nn.Module:
    import torchvision

    network: nn.Module = torchvision.models.get_model(
        architecture["name"], weights=None, num_classes=architecture["num_classes"]
    )
    return network


FAMILIES: dict[str, Callable[[Architecture], nn.Module]] = {
    "adapted": _build_adapted,
    "convnet": _build_convnet,
    "exported": _build_exported,
    "grown": _build_grown,
    "merged": _build_merged,
    "onnx": _build_onnx,
    "torchvision": _build_torchvision,
    "widened": _build_widened,
}

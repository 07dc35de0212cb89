"""Decides where a fit computes and in which precision: on the CPU or the first CUDA device, in bf16 where it pays.

Where bf16 is emulated a step takes many times as long as in float32, and nothing is gained by it.
"""

from __future__ import annotations

import logging

import torch
from torch import nn

from components.core.errors import UnavailableError
from components.models.foreign.exported import ExportedNetwork
from components.training.config import Device, Precision

log = logging.getLogger(__name__)
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # of x86, then of Arm, as torch names them


def choose_device(wanted: Device, network: nn.Module | None = None) -> torch.device:
    """The device that a network is fitted on; UnavailableError where CUDA is wanted and there is none."""
    there = wanted != "cpu" and torch.cuda.is_available()
    if wanted == "cuda" and not there:
        raise UnavailableError(
            "training.device is cuda, and torch finds no CUDA device; set it to auto, and see `detent doctor`"
        )
    if there and network is not None and not is_movable(network):
        log.warning("a part of this network came by torch.export and runs on the CPU, so training does")
        return torch.device("cpu")
    return torch.device("cuda" if there else "cpu")


def is_movable(network: nn.Module) -> bool:
    """Whether a network can leave the CPU: a part that came by torch.export names its tensors' place in its program."""
    return not any(isinstance(part, ExportedNetwork) for part in network.modules())


def computes_bf16(device: torch.device) -> bool:
    """Whether this device has units that multiply in bf16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in _BF16_UNITS)


def uses_bf16(wanted: Precision, device: torch.device) -> bool:
    """Whether a fit that wants this precision computes in bf16 there; says so where that is slower than float32."""
    natively = computes_bf16(device)
    if wanted == "bf16" and not natively:
        log.warning("this processor emulates bf16, which is slower than float32; set training.precision to auto")
    return wanted == "bf16" or (wanted == "auto" and natively)

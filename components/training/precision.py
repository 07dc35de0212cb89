"""Decides in which precision a fit computes: bf16 where the processor multiplies in it, float32 elsewhere.

Where bf16 is computed by emulation a step takes many times as long as in float32, and nothing is gained by it.
"""

from __future__ import annotations

import logging

import torch

from components.training.config import Precision

log = logging.getLogger(__name__)
_BF16_UNITS = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")  # of x86, then of Arm, as torch names them


def computes_bf16() -> bool:
    """Whether this processor has units that multiply in bf16."""
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in _BF16_UNITS)


def uses_bf16(wanted: Precision) -> bool:
    """Whether a fit that wants this precision computes in bf16 here; says so where that is slower than float32."""
    if wanted == "bf16" and not computes_bf16():
        log.warning("this processor emulates bf16, which is slower than float32; set training.precision to auto")
    return wanted == "bf16" or (wanted == "auto" and computes_bf16())

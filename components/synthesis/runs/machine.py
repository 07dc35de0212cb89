"""Says what bits depend on beside the recipe: the kind of processor, and the versions of what computes.

It is part of the recipe, so that shards of two kinds of machine never stand in one folder as if they were alike,
and so that an image that comes out otherwise can be explained.
"""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("numpy", "opencv-python-headless", "pillow")
_VECTOR_UNITS = ("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_tile")


def made_with() -> dict[str, str]:
    """The processor's kind and the versions of the packages that all generators compute with."""
    return {"processor": _processor(), **package_versions(*_PACKAGES)}


def package_versions(*names: str) -> dict[str, str]:
    """The version of each package, `missing` where it is not installed."""
    return {name: _version(name) for name in names}


def differences(then: dict[str, str], now: dict[str, str]) -> list[str]:
    """What has changed since, one phrase each."""
    names = sorted({*then, *now})
    return [f"{name} {then.get(name)} then, {now.get(name)} now" for name in names if then.get(name) != now.get(name)]


@cache
def _processor() -> str:
    """The architecture and those of its vector units that libraries choose their arithmetic by."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
    return " ".join([platform.machine(), *(name for name in _VECTOR_UNITS if name in flags)])


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"

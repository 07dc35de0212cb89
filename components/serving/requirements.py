"""The packages that a served Bento needs, pinned to the versions that its parity was checked with.

BentoML is not named: a build adds its own version to the Bento's requirements.
"""

from __future__ import annotations

from importlib.metadata import version

SERVED_PACKAGES = (
    "fastapi",
    "numpy",
    "pillow",
    "psutil",
    "pydantic",
    "python-multipart",
    "safetensors",
    "torch",
    "torchvision",
)


def pinned_requirements() -> tuple[str, ...]:
    """`name==version` of each served package as installed here, in order of name."""
    return tuple(f"{name}=={version(name).partition('+')[0]}" for name in SERVED_PACKAGES)

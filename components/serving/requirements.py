"""The packages that a served Bento needs, pinned to the versions that its parity was checked with.

BentoML is not named: a build adds its own version to the Bento's requirements. What the workload's application needs
besides is the workload's to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version

from components.core.errors import UnavailableError

SERVING_PACKAGES = ("fastapi", "numpy", "psutil", "pydantic", "python-multipart")


def pinned_requirements(more: Iterable[str]) -> tuple[str, ...]:
    """`name==version`, as installed here, of what serving needs and of `more`, in order of name.

    UnavailableError when one is not installed.
    """
    names = sorted({*SERVING_PACKAGES, *more})
    try:
        return tuple(f"{name}=={version(name).partition('+')[0]}" for name in names)
    except PackageNotFoundError as error:
        raise UnavailableError(f"serving this model needs {error.name}: pip install {error.name}") from error

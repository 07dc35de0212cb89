"""The rules of a workload of classes for its photos; light to import, as a workload is a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from components.validation.rules import Rules


def rules() -> Rules:
    """Photos dealt so that each class comes into every split, and asked for their class."""
    from components.workloads.classification import checks

    return checks.rules()

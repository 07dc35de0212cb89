"""What Detent is run on: one module a workload, found by name.

To add one, write a module with a WORKLOAD (see products/workload.py), and name it in BUILT_IN, or in the entry-point
group `detent.workloads` of a package of your own.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points

from components.core.errors import ConfigError
from components.core.stages import Workload

GROUP = "detent.workloads"
BUILT_IN = {"products": "components.workloads.products.workload:WORKLOAD"}


def workload_names() -> list[str]:
    """The names of all workloads that are installed."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def find_workload(name: str) -> Workload:
    """The workload of this name; ConfigError names the known ones."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        found = getattr(import_module(module), attribute)
    else:
        points = [point for point in entry_points(group=GROUP) if point.name == name]
        if not points:
            raise ConfigError(f"unknown workload '{name}', known: {', '.join(workload_names())}")
        found = points[0].load()
    if not isinstance(found, Workload):
        raise ConfigError(f"workload '{name}' is a {type(found).__name__}, expected a core.stages.Workload")
    return found

"""Workloads found by name, and params.yaml read for the one that it names.

To add a workload, write a package with a WORKLOAD (see products/workload.py), and name it in BUILT_IN, or in the
entry-point group `detent.workloads` of a package of your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from components.core.errors import ConfigError
from components.core.params import Section, parse_section, read_params
from components.core.workloads import Workload
from components.core.workspace import Workspace
from components.workloads.rails.params import Params

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
        raise ConfigError(f"workload '{name}' is a {type(found).__name__}, expected a core.workloads.Workload")
    if not issubclass(found.params, Params):
        raise ConfigError(f"workload '{name}': its params are no subclass of the platform's (workloads.rails.params)")
    return found


def load_params(workspace: Workspace) -> Params:
    """Read and check a workspace's params.yaml, once, as its workload wants it.

    ConfigError names what is wrong and what is known.
    """
    raw = read_params(workspace.params)
    model = find_workload(str(raw.get("workload", "products"))).params
    missing = missing_sections(model, raw)
    params = parse_section(model, raw, where=workspace.params.name)
    assert isinstance(params, Params)
    if missing:
        raise ConfigError(
            f"{workspace.params.name}: {missing} are missing; add `{missing[0]}: {{}}` for the defaults, or run "
            "`detent upgrade`"
        )
    return params


def missing_sections(model: type[Section], raw: Mapping[str, Any]) -> list[str]:
    """The sections that a params.yaml must have, if only to say that their defaults are meant, and has not."""
    return sorted(model.model_fields.keys() - raw.keys() - {"people"})


def check_workload(params: Params, name: str | None) -> None:
    """ConfigError when the command line names another workload than params.yaml."""
    if name is not None and name != params.workload:
        raise ConfigError(
            f"--workload {name}, but params.yaml says workload: {params.workload}; one workspace holds one workload, "
            "so change params.yaml or use another worktree"
        )

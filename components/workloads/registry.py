"""Workloads found by name, and params.yaml read for the one that it names.

To add a workload, write a package with a WORKLOAD (see products/workload.py), and name it in BUILT_IN, or in the
entry-point group `detent.workloads` of a package of your own.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, TypeVar

from components.core.errors import ConfigError
from components.core.params import Section, parse_section, read_params
from components.core.workloads import Workload
from components.core.workspace import STAGES, Workspace
from components.workloads.rails.params import Params

GROUP = "detent.workloads"
BUILT_IN = {"products": "components.workloads.products.workload:WORKLOAD"}
_NEEDED = {"training", "selection", "packaging"}
P = TypeVar("P", bound=Params)


def workload_names() -> list[str]:
    """The names of all workloads that are installed."""
    return sorted({*BUILT_IN, *(point.name for point in entry_points(group=GROUP))})


def find_workload(name: str) -> Workload:
    """The workload of this name; ConfigError names the known ones, or what is wrong with the one that was found."""
    if name in BUILT_IN:
        module, _, attribute = BUILT_IN[name].partition(":")
        return _check(getattr(import_module(module), attribute), name, BUILT_IN[name])
    points = {point.value: point for point in entry_points(group=GROUP) if point.name == name}
    if not points:
        raise ConfigError(f"unknown workload '{name}', known: {', '.join(workload_names())}")
    if len(points) > 1:
        raise ConfigError(f"workload '{name}' is given by {' and by '.join(sorted(points))}: uninstall all but one")
    ((place, point),) = points.items()
    try:
        found = point.load()
    except (Exception, SystemExit) as error:  # whatever a package of somebody else does when it is imported
        raise ConfigError(
            f"workload '{name}' cannot be loaded from {place} ({type(error).__name__}: {error}): mend its package, or "
            "uninstall it"
        ) from error
    return _check(found, name, place)


def _check(found: object, name: str, place: str) -> Workload:
    if not isinstance(found, Workload):
        fault = f"a {type(found).__name__}, expected a Workload of components.core.workloads"
    elif found.name != name:
        fault = f"called '{found.name}' itself; give both one name"
    elif not (isinstance(found.params, type) and issubclass(found.params, Params)):
        fault = f"one whose params are {found.params!r}, expected a subclass of Params of {Params.__module__}"
    elif not _NEEDED <= found.stages.keys() <= set(STAGES):
        fault = f"one with the stages {[*found.stages]}; of {[*STAGES]} it may have any and needs {sorted(_NEEDED)}"
    else:
        return found
    raise ConfigError(f"workload '{name}' of {place} is {fault}")


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


def load_params_as(kind: type[P], workspace: Workspace) -> P:
    """The same for a command that needs one kind of workload; ConfigError when params.yaml is of another."""
    params = load_params(workspace)
    if not isinstance(params, kind):
        raise ConfigError(
            f"{workspace.params.name} is of workload {params.workload}, for which this command does nothing"
        )
    return params


def check_workload(params: Params, name: str | None) -> None:
    """ConfigError when the command line names another workload than params.yaml."""
    if name is not None and name != params.workload:
        raise ConfigError(
            f"--workload {name}, but params.yaml says workload: {params.workload}; one workspace holds one workload, "
            "so change params.yaml or use another worktree"
        )

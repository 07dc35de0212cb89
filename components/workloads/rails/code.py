"""The code of each stage of a workload: a digest a stage, and the file by which DVC sees it.

To a stage belong the module of its function, the modules of the sections of params.yaml that it reads, which hold
their defaults, what the workload hands to it, what the workload names in `code`, and all that these import of ours and
of the workload's package (`core/closures.py`). There is no second key: the same digests enter what training and
synthesis keep, and their digest enters Decision, approval and MLflow run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_args

from components.core.closures import closure, code_digest
from components.core.digests import digest_json
from components.core.errors import DataError
from components.core.files import read_json, write_json
from components.core.params import Section
from components.core.workloads import Workload
from components.core.workspace import Stage, Workspace

CODE = "code"  # the folder in data/
_OURS = "components"
_HANDED = {"validation": ("rules",), "selection": ("judge", "show"), "packaging": ("record", "compare")}


@dataclass(frozen=True, slots=True)
class StageCode:
    """The digest of a stage's code, and of how many modules and files of data."""

    digest: str
    num_files: int


def stage_code(workload: Workload, stage: Stage, *, memory: Path | None = None) -> StageCode:
    """The code of one stage, as it lay when this process first asked; ConfigError names what cannot be followed.

    `memory` is the file of `core.closures.closure`.
    """
    step = workload.stages[stage]
    roots = {_module(step.run), *workload.code, *_sections(workload, step.sections)}
    roots |= {_module(function) for name in _HANDED.get(stage, ()) if (function := getattr(workload, name)) is not None}
    values: dict[str, Any] = {}
    if stage == "validation":
        values = {"sources": [[source.name, source.rows] for source in workload.sources]}
    if stage == "packaging":
        service = workload.service
        roots |= {service.application.partition(":")[0], _module(service.more_packages)}
        values = {
            "application": service.application,
            "endpoint": service.endpoint,
            "description": service.description,
            "packages": list(service.packages),
        }
    packages = frozenset({_OURS, *(root.partition(".")[0] for root in roots)})
    digest = code_digest(sorted(roots), packages, memory=memory)
    num_files = len(closure(sorted(roots), packages, memory=memory))
    return StageCode(digest_json([digest, values]), num_files)


def stage_codes(workload: Workload, workspace: Workspace) -> dict[Stage, StageCode]:
    """The code of every stage that the workload has."""
    memory = workspace.cache / "code.json"
    return {stage: stage_code(workload, stage, memory=memory) for stage in workload.stages}


def code_of(workload: Workload, workspace: Workspace) -> dict[Stage, str]:
    """The digest of every stage's code: what a `StageInput` carries."""
    return {stage: code.digest for stage, code in stage_codes(workload, workspace).items()}


def release_code(code: Mapping[Stage, str]) -> str:
    """One digest of the code of all stages: what a Decision, an approval and a run in MLflow carry."""
    return digest_json({str(stage): digest for stage, digest in code.items()})


def write_code(workload: Workload, workspace: Workspace) -> None:
    """Bring `data/code/STAGE.json` up to date, which is what DVC watches; a file that says it already is left alone."""
    folder = workspace.data / CODE
    wanted: dict[str, dict[str, Any]] = {
        f"{stage}.json": {"digest": code.digest, "files": code.num_files}
        for stage, code in stage_codes(workload, workspace).items()
    }
    for path in folder.glob("*"):
        if path.name not in wanted:
            path.unlink()
    for name, value in wanted.items():
        path = folder / name
        if not _says(path, value):
            write_json(path, value)


def _says(path: Path, value: Mapping[str, Any]) -> bool:
    try:
        return path.is_file() and read_json(path) == value
    except DataError:
        return False


def _module(function: Any) -> str:
    """Where a function, or the class of a callable, is defined; of a partial one, where what it calls is."""
    while isinstance(function, partial):
        function = function.func
    return str(function.__module__)


def _sections(workload: Workload, names: tuple[str, ...]) -> set[str]:
    """The modules of the sections that these parts of params.yaml are or hold; "selection.targets" holds Target."""
    found: set[str] = set()
    for name in names:
        kinds: list[type[Section]] = [workload.params]
        for part in name.split("."):
            fields = [kind.model_fields[part] for kind in kinds if part in kind.model_fields]
            kinds = [kind for field in fields for kind in _kinds(field.annotation)]
        found |= {kind.__module__ for kind in kinds}
    return found


def _kinds(annotation: Any) -> list[type[Section]]:
    """The sections that a type names, such as `tuple[Target, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [kind for part in get_args(annotation) for kind in _kinds(part)]

"""Keeps what a training stage made: `data/training/NAME/model` a candidate, where every later stage looks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.errors import ConfigError, DataError
from components.core.files import atomic_directory, write_bytes, write_json
from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput
from components.models.identity import CARD, model_digest

_NAME = re.compile(r"[\w-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An artefact's files by name, as bytes or as values of JSON; figures about it, and what it was made with.

    `card` says more of it to whoever reads the artefact; the files are listed there too.
    """

    files: Mapping[str, bytes | Mapping[str, Any]]
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)


def keep_candidates(given: StageInput, candidates: Mapping[str, Candidate]) -> StageReport:
    """Write every candidate into the training stage's folder, all or nothing, and tell of each.

    DataError when there is none, ConfigError for a name that is no file's.
    """
    if not candidates:
        raise DataError("there is no candidate: add a recipe to training in params.yaml")
    strange = [name for name in candidates if not _NAME.fullmatch(name)]
    if strange:
        raise ConfigError(f"candidates {strange}: a name has letters, digits, - and _ only")
    children: dict[str, dict[str, Any]] = {}
    with atomic_directory(given.workspace.stage("training")) as partial:
        for name, made in candidates.items():
            folder = partial / name / "model"
            for file, content in made.files.items():
                if isinstance(content, bytes):
                    write_bytes(folder / file, content)
                else:
                    write_json(folder / file, content)
            write_json(folder / CARD, {**made.card, "files": sorted(made.files)})
            children[name] = {
                "model": f"{name}/model",
                "digest": model_digest(folder),
                "metrics": dict(made.metrics),
                "params": dict(made.params),
            }
            write_json(partial / name / "candidate.json", {"digest": children[name]["digest"]})
        metrics = {
            f"{name}.{figure}": value for name, made in candidates.items() for figure, value in made.metrics.items()
        }
        report = StageReport(metrics=metrics, children=children)
        write_report(partial, report)
    return report

"""What a stage tells: `report.json` in its folder `data/STAGE`, so that a skipped stage can still be told of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from components.core.files import read_json, write_json

REPORT = "report.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """What a stage tells: numbers, facts in words, and the files (relative to its folder) worth looking at.

    `children` are the parts that deserve a run of their own, the candidates of training for example.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()
    children: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def write_report(folder: Path, report: StageReport) -> None:
    """Write a stage's report into its folder."""
    write_json(folder / REPORT, asdict(report))


def read_report(folder: Path) -> StageReport:
    """Read the report that a stage left."""
    value = read_json(folder / REPORT)
    return StageReport(**{**value, "pictures": tuple(value["pictures"])})

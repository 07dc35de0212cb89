"""What a family was searched for, kept with training, where the gate finds it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components.core.files import read_json, write_json

FAMILY, RECORD = "family", "record.json"


def write_record(
    training: Path, *, targets: Mapping[str, Mapping[str, str]], costs: Mapping[str, Mapping[str, float]]
) -> None:
    """Keep with training what its family was searched for: by target a candidate or a reason, costs by candidate."""
    write_json(training / FAMILY / RECORD, {"targets": dict(targets), "costs": dict(costs)})


def read_record(training: Path) -> dict[str, Any]:
    """What `write_record` kept; nothing where there was no family."""
    path = training / FAMILY / RECORD
    return read_json(path) if path.is_file() else {"targets": {}, "costs": {}}


def num_searched(training: Path) -> int:
    """How many settings of a family's members the search split was asked about; 0 where there was no family."""
    path = training / FAMILY / "members.parquet"
    return int(pq.read_metadata(path).num_rows) if path.is_file() else 0

"""Append-only files of JSON lines: a row is on disk when `append` returns, and half a row never counts.

A kill in the middle of an append leaves a line without its end, which the next reader cuts off.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core.errors import IntegrityError
from components.core.files import storage_errors


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Add one row durably; StorageError when the disk is full or read-only."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_tail(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, sort_keys=True, allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())


def read(path: Path) -> list[dict[str, Any]]:
    """All whole rows, in order; none when there is no file. IntegrityError names a line that is no JSON object."""
    if not path.exists():
        return []
    rows = []
    data = path.read_bytes()
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            raise IntegrityError(f"{path} line {number} was altered: it is no JSON object; restore it from its backup")
        rows.append(row)
    return rows


def _cut_torn_tail(path: Path) -> None:
    data = path.read_bytes() if path.exists() else b""
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())

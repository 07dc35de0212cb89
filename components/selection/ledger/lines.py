"""Append-only files of JSON lines: rows are on disk when `append` returns, and half a row never counts.

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


def append(path: Path, *rows: Mapping[str, Any]) -> None:
    """Add rows durably, waiting for the disk once; StorageError when the disk is full or read-only.

    A kill in the middle keeps the first few of them.
    """
    lines = "".join(json.dumps(row, sort_keys=True, allow_nan=False) + "\n" for row in rows)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _cut_torn_tail(path)
        with path.open("a", encoding="utf-8") as file:
            file.write(lines)
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
    if not path.exists() or _ends_whole(path):
        return
    whole = path.read_bytes().rfind(b"\n") + 1
    with path.open("r+b") as file:
        file.truncate(whole)
        os.fsync(file.fileno())


def _ends_whole(path: Path) -> bool:
    """Whether the file ends with the end of a line, or is empty; nothing else of it is read."""
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"

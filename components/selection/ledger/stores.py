"""Where a ledger keeps its rows: a file of its own here, the journal's database in promotion.

Rows are mappings, kept in order and never changed, each with the digest of all before it. Rows added inside one
`writing` block are durable when it ends, all or (in a database) none; writers queue.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from components.core.digests import digest_json
from components.core.errors import IntegrityError
from components.core.files import storage_errors
from components.selection.ledger import lines

GENESIS = "0" * 64
LedgerRow = Mapping[str, Any]


class Writer(Protocol):
    """Adds rows under the store's lock."""

    @property
    def rows(self) -> list[LedgerRow]:
        """All rows, those added here included, each with its `digest`."""

    def append(self, row: Mapping[str, Any]) -> LedgerRow:
        """Add one row; returns it with its digest."""


class Store(Protocol):
    """Keeps the rows of one ledger. IntegrityError from either method names an altered row."""

    name: str
    key: str  # what the anchor calls this ledger
    witnessed: bool  # whether something outside the store knows its last row, so that a lost anchor may be made anew

    def read(self) -> list[LedgerRow]:
        """All rows in order, each with its `digest`."""

    def writing(self) -> Any:
        """A context manager that gives a Writer under the lock."""


@dataclass(slots=True)
class _FileWriter:
    path: Path
    rows: list[LedgerRow] = field(default_factory=list)

    def append(self, row: Mapping[str, Any]) -> LedgerRow:
        previous = self.rows[-1]["digest"] if self.rows else GENESIS
        sealed = {**row, "previous": previous, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        sealed["digest"] = digest_json(sealed)
        lines.append(self.path, sealed)
        self.rows.append(sealed)
        return sealed


class FileStore:
    """An append-only file of hash-chained JSON lines; safe against kill -9 and against two processes at once."""

    key = "file"
    witnessed = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path)

    def read(self) -> list[LedgerRow]:
        """All whole rows, their chain checked."""
        with self._locked():
            return self._rows()

    @contextmanager
    def writing(self) -> Iterator[_FileWriter]:
        """Rows are on disk when `append` returns."""
        with self._locked():
            yield _FileWriter(self.path, self._rows())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(self.path.name + ".lock")):
                yield

    def _rows(self) -> list[LedgerRow]:
        found: list[LedgerRow] = []
        head = GENESIS
        for number, row in enumerate(lines.read(self.path), start=1):
            content = {name: value for name, value in row.items() if name != "digest"}
            if row.get("previous") != head or digest_json(content) != row.get("digest"):
                raise IntegrityError(f"{self.path} line {number} was altered; restore the ledger from its backup")
            head = row["digest"]
            found.append(row)
        return found

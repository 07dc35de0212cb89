"""Anchors keep the journal's head outside the database, so that a cut tail or a forged row at the end shows.

The main anchor is written under the journal's write lock, twice a transaction: before the commit it names the
old head and the `pending` one, after the commit the new head alone. A kill in between leaves a pending head,
which the next command settles; at any other time exactly one head is right. Extra anchors (a git note, an
MLflow tag) are published now and then and say that a row with that digest stood in the chain.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from components.core import files
from components.core.errors import DataError
from components.promotion.rows import GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last row of a chain: its number and digest; number 0 is the empty chain."""

    sequence: int = 0
    digest: str = GENESIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchored:
    """What the main anchor holds: the settled head and, while a commit is under way, the one to come."""

    head: Head
    pending: Head | None = None

    def allows(self, head: Head) -> bool:
        """Whether a journal that ends in `head` is the one that was anchored."""
        return head in (self.head, self.pending)


class Anchor(Protocol):
    """The main anchor; reading and writing are called under the journal's write lock."""

    name: str

    def read(self) -> Anchored | None:
        """What was written last, None when nothing ever was."""

    def write(self, anchored: Anchored) -> None:
        """Replace it atomically and durably."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtraAnchor:
    """One more place that remembers heads: `publish` stores one, `read` returns the last stored or None."""

    name: str
    publish: Callable[[Head], None]
    read: Callable[[], Head | None]


class FileAnchor:
    """The main anchor as a JSON file, replaced atomically; machines that share a journal share this file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = f"file {path}"

    def read(self) -> Anchored | None:
        """The anchored head; DataError when the file is damaged."""
        if not self.path.exists():
            return None
        value = files.read_json(self.path)
        try:
            pending = value["pending"]
            return Anchored(head=Head(**value["head"]), pending=Head(**pending) if pending else None)
        except (KeyError, TypeError) as error:
            raise DataError(f"{self.path} is no anchor ({error}); restore it from a backup") from error

    def write(self, anchored: Anchored) -> None:
        """Replace the file; StorageError when the disk is full or read-only."""
        files.write_json(self.path, {"schema": 1} | asdict(anchored))

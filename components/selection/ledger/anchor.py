"""The anchor of a ledger: a small file beside the split, in git, that holds the head of each ledger of a workspace.

It lets a clone, a new machine or a cut ledger be told from an untouched one. Anchors of the first schema hold one
ledger, and are brought to the present form when they are next written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import IntegrityError
from components.core.files import read_json, write_json
from components.selection.ledger.stores import GENESIS

SCHEMA_VERSION = 2
_NOTHING = {"rows": 0, "head": GENESIS}


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchoredLedger:
    """What an anchor knows of one ledger: how many rows it had and the digest of the last.

    `was_file`: written when the ledger was a file of its own, whose rows had other digests.
    """

    rows: int = 0
    head: str = GENESIS
    was_file: bool = False


def read_anchor(path: Path, key: str) -> AnchoredLedger:
    """What the anchor says of the ledger `key`; an empty one where it says nothing, IntegrityError for rubbish."""
    if not path.exists():
        return AnchoredLedger()
    value = read_json(path)
    was_file = "ledgers" not in value
    ledgers = value.get("ledgers")
    found = value if was_file else ledgers.get(key, _NOTHING) if isinstance(ledgers, dict) else None
    if not isinstance(found, dict) or type(found.get("rows")) is not int or type(found.get("head")) is not str:
        raise IntegrityError(f"{path} is no ledger anchor; restore it from git")
    return AnchoredLedger(rows=found["rows"], head=found["head"], was_file=was_file)


def write_anchor(path: Path, key: str, told: Mapping[str, Any]) -> None:
    """Replace what the anchor says of one ledger; the others' heads stay."""
    value = read_json(path) if path.exists() else {}
    write_json(path, {"schema_version": SCHEMA_VERSION, "ledgers": {**value.get("ledgers", {}), key: dict(told)}})

"""Labels that a person found wrong, on record: such samples leave search and replay from the next look on.

Whoever marks sees flips in both directions alike (the gallery shows broken and repaired), and a mark leaves a
sample out altogether, so it excuses the candidate no more than the champion. Certify labels cannot be marked:
choosing which to doubt would need a look at its answers.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from components.core.errors import DataError
from components.selection.ledger import lines


def mark(
    path: Path, sample_id: str, *, split: str, who: str, why: str, verdict: Literal["wrong", "right"] = "wrong"
) -> None:
    """Record that a label is wrong, or (verdict `right`) take such a mark back; DataError without who and why."""
    if split not in ("search", "replay"):
        raise DataError(f"labels of the {split} split cannot be marked, only those of search and replay")
    if not who.strip() or not why.strip() or not sample_id:
        raise DataError(f"a mark needs a sample, a name and a reason, got {sample_id!r}, {who!r}, {why!r}")
    row = {"sample_id": sample_id, "split": split, "who": who, "why": why, "label": verdict}
    lines.append(path, row | {"at": datetime.now(UTC).isoformat(timespec="seconds")})


def read_marks(path: Path) -> frozenset[str]:
    """The ids whose last mark says wrong: what goes into `Evidence.wrong_labels`."""
    last = {row["sample_id"]: row["label"] for row in lines.read(path)}
    return frozenset(name for name, label in last.items() if label == "wrong")

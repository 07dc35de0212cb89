"""The replay set: past incidents, pinned by content, that a champion has right and must keep right.

A folder of manifest shards (split `replay`), one per incident, and `incidents.jsonl`, which says who put each in
and why. The id is the digest of the picture, so it cannot be swapped; nothing of certify may come in, unless an
open look burned it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from components.core import digests
from components.core.errors import DataError, IntegrityError, LeakError
from components.core.manifest import write_shard
from components.selection.ledger import lines

_RECORD = "incidents.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One pinned sample: who put it in, and why."""

    sample_id: str
    label: str
    who: str
    why: str


def add(folder: Path, image: bytes, incident: Incident, *, certify_ids: Collection[str] = ()) -> None:
    """Pin one encoded picture with its label; adding it again changes nothing.

    IntegrityError when the id is not that of the picture, LeakError when it is a certify sample, DataError without
    who, why and label.
    """
    if incident.sample_id != digests.sample_id(image):
        raise IntegrityError(f"{incident.sample_id} is not the id of this picture, {digests.sample_id(image)} is")
    if incident.sample_id in certify_ids:
        raise LeakError(f"{incident.sample_id} stands in the certify split; it may be replayed once that is burned")
    if not (incident.who.strip() and incident.why.strip() and incident.label.strip()):
        raise DataError(f"an incident needs a label, a name and a reason, got {incident}")
    if any(row["sample_id"] == incident.sample_id for row in lines.read(folder / _RECORD)):
        return
    row = {"sample_id": incident.sample_id, "image": {"bytes": image, "path": None}, "label": incident.label}
    folder.mkdir(parents=True, exist_ok=True)
    write_shard(folder / f"incident-{incident.sample_id}.parquet", [row | {"split": "replay", "source": "photo"}])
    told = {"sample_id": incident.sample_id, "label": incident.label, "who": incident.who, "why": incident.why}
    lines.append(folder / _RECORD, told | {"at": datetime.now(UTC).isoformat(timespec="seconds")})


def read_incidents(folder: Path) -> tuple[Incident, ...]:
    """The pinned incidents in the order in which they came."""
    names = ("sample_id", "label", "who", "why")
    return tuple(Incident(**{name: row[name] for name in names}) for row in lines.read(folder / _RECORD))

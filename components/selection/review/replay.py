"""The replay set: past incidents, pinned by content, that a champion has right and must keep right.

A folder of manifest shards (split `replay`), one per incident with the images that it is about, and `incidents.jsonl`,
which says who put each in and why. An incident is a question: its id is the digest of its picture, or of pictures and
what is asked, so it cannot be swapped. Only once one is about more than a picture and its label are there
`samples/replay.parquet`; before, each picture is asked for its label. Nothing of certify may come in, unless an open
look burned it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from components.core import digests, samples
from components.core.errors import DataError, IntegrityError, LeakError
from components.core.manifest import write_shard
from components.core.samples import SampleSet, question_id
from components.selection.ledger import lines

_RECORD = "incidents.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One pinned question: its truth, what is asked beside its images ("": they alone), who put it in, and why."""

    sample_id: str
    truth: str
    who: str
    why: str
    ask: str = ""


def replay_set(folder: Path) -> SampleSet:
    """The questions of a replay folder."""
    return SampleSet(images=folder, path=folder / "samples" / "replay.parquet")


def add(folder: Path, images: Sequence[bytes], incident: Incident, *, certify_ids: Collection[str] = ()) -> None:
    """Pin one question with its encoded images; adding it again changes nothing.

    IntegrityError when the id is not that of images and question, LeakError when it or an image is of certify,
    DataError without who, why and truth.
    """
    names = [digests.sample_id(image) for image in images]
    found = question_id(names, incident.ask)
    if incident.sample_id != found:
        raise IntegrityError(f"{incident.sample_id} is not the id of this picture, {found} is")
    if not {incident.sample_id, *names}.isdisjoint(certify_ids):
        raise LeakError(f"{incident.sample_id} stands in the certify split; it may be replayed once that is burned")
    if not (incident.who.strip() and incident.why.strip() and incident.truth.strip()):
        raise DataError(f"an incident needs a truth, a name and a reason, got {incident}")
    if any(row["sample_id"] == incident.sample_id for row in lines.read(folder / _RECORD)):
        return
    folder.mkdir(parents=True, exist_ok=True)
    is_plain = found == names[0]
    _keep_images(folder, dict(zip(names, images, strict=True)), incident, label=incident.truth if is_plain else None)
    if not is_plain or replay_set(folder).path.is_file():
        _keep_question(folder, incident, names)
    told = {"sample_id": incident.sample_id, "label": incident.truth, "who": incident.who, "why": incident.why}
    asked = {"ask": incident.ask} if incident.ask else {}
    lines.append(folder / _RECORD, told | asked | {"at": datetime.now(UTC).isoformat(timespec="seconds")})


def read_incidents(folder: Path) -> tuple[Incident, ...]:
    """The pinned incidents in the order in which they came."""
    return tuple(
        Incident(sample_id=row["sample_id"], truth=row["label"], who=row["who"], why=row["why"], ask=row.get("ask", ""))
        for row in lines.read(folder / _RECORD)
    )


def _keep_images(folder: Path, images: dict[str, bytes], incident: Incident, *, label: str | None) -> None:
    """Write those images that no other incident brought; what a killed run left of this one is written again."""
    path = folder / f"incident-{incident.sample_id}.parquet"
    others = [shard for shard in folder.glob("*.parquet") if shard != path]
    known = {name for shard in others for name in _ids(shard)}
    rows: list[dict[str, Any]] = [
        {
            "sample_id": name,
            "image": {"bytes": image, "path": None},
            "label": label,
            "split": "replay",
            "source": "photo",
        }
        for name, image in images.items()
        if name not in known
    ]
    if rows:
        write_shard(path, rows)


def _keep_question(folder: Path, incident: Incident, images: Sequence[str]) -> None:
    """Add a question to the table, which begins with all that were pinned before there was one."""
    kept, pinned = replay_set(folder), [row["sample_id"] for row in lines.read(folder / _RECORD)]
    before = kept.table()
    others = before.filter(pc.is_in(before["sample_id"], value_set=pa.array(pinned, pa.string())))
    row = {"sample_id": incident.sample_id, "images": list(images), "ask": incident.ask, "truth": incident.truth}
    new = samples.table_of([row | {"split": "replay"}])
    samples.write(kept.path, pa.concat_tables([others, new], promote_options="permissive"))


def _ids(shard: Path) -> list[str]:
    import pyarrow.parquet as pq

    ids: list[str] = pq.read_table(shard, columns=["sample_id"])["sample_id"].to_pylist()
    return ids

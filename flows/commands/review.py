"""What people do to the evidence: pin incidents for replay, mark labels as wrong. Both are tracked by DVC."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import ConfigError, DataError, SourceError, StateError
from components.core.workspace import Workspace
from components.selection.review import marks, replay
from components.selection.review.replay import Incident
from components.validation.placement import write_placement
from components.validation.retirement import set_aside
from components.workloads.rails.records import read_decisions
from flows.answers import Answer, Table
from flows.graph import Graph
from flows.office import prepare, workspace_lock
from flows.placement import current_placement


def add_to_replay(samples: Sequence[str], *, reason: str, label: str | None = None) -> Answer:
    """Pin samples, by id or as image files with --label, that every later candidate must have right.

    SourceError for a sample that is neither an id of the search or train split nor a file.
    """
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    with workspace_lock(workspace):
        certify = _unseen_ids(workspace)
        for sample in samples:
            image, name = _image_of(sample, label, workspace)
            incident = Incident(sample_id=sample_id(image), label=name, who=settings.actor, why=reason)
            replay.add(workspace.replay, image, incident, certify_ids=certify)
        Graph(workspace.root).track(workspace.replay)
    return show_replay()


def pin_burned(*, reason: str) -> Answer:
    """Move what an open look showed of the certify split to the replay set, and out of every split.

    Releases go on from there, and every candidate is on hold until `detent refresh` deals a new certify split.
    StateError when the last decisions burned nothing.
    """
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    burned = {name for decision in read_decisions(workspace).values() for name in decision.burned_ids}
    if not burned:
        raise StateError("the last decisions burned no samples; only an open look does (selection.policy.mode: open)")
    with workspace_lock(workspace):
        for batch in manifest.stream(_photos(workspace) / "certify", ["sample_id", "image", "label"]):
            for row in batch.to_pylist():
                if row["sample_id"] in burned:
                    incident = Incident(
                        sample_id=row["sample_id"], label=row["label"], who=settings.actor, why=reason or "open look"
                    )
                    replay.add(workspace.replay, row["image"]["bytes"], incident)
        graph = Graph(workspace.root)
        graph.track(workspace.replay)
        write_placement(workspace.placement, set_aside(current_placement(workspace, graph), burned))
        graph.track(workspace.placement)
    return show_replay()


def show_replay() -> Answer:
    """The pinned incidents."""
    incidents = replay.read_incidents(Workspace.from_settings(prepare()).replay)
    rows = [(incident.sample_id, incident.label, incident.who, incident.why) for incident in incidents]
    columns = ("sample", "label", "who", "why")
    value = {"incidents": [dict(zip(columns, row, strict=True)) for row in rows]}
    return Answer(value=value, tables=[Table(title="must stay right", columns=columns, rows=rows)])


def mark_label(sample: str, *, reason: str, undo: bool = False) -> Answer:
    """Put on record that a search or replay sample is wrongly labelled; it counts no more from the next look on."""
    settings = prepare()
    workspace = Workspace.from_settings(settings)
    splits = {"search": _photos(workspace) / "search", "replay": workspace.replay}
    found = [name for name, folder in splits.items() if _find(sample, folder) is not None]
    if not found:
        raise DataError(f"{sample} is neither in the search split nor in the replay set; reports show the ids")
    verdict: Literal["right", "wrong"] = "right" if undo else "wrong"
    with workspace_lock(workspace):
        marks.mark(workspace.marks, sample, split=found[0], who=settings.actor, why=reason, verdict=verdict)
        Graph(workspace.root).track(workspace.replay)
    return Answer(value={"sample": sample, "label": verdict}, lines=[f"{sample}: label on record as {verdict}"])


def _photos(workspace: Workspace) -> Path:
    return workspace.stage("validation") / "photos"


def _unseen_ids(workspace: Workspace) -> set[str]:
    """What nobody may look at: certify, and the reserve that it is made of later."""
    folders = [_photos(workspace) / split for split in ("certify", "reserve")]
    tables = [manifest.read(folder, ["sample_id"]) for folder in folders if folder.is_dir()]
    return {sample for table in tables for sample in table["sample_id"].to_pylist()}


def _image_of(sample: str, label: str | None, workspace: Workspace) -> tuple[bytes, str]:
    path = Path(sample)
    if path.is_file():
        if label is None:
            raise ConfigError(f"{sample} is a file: say what is on it with --label")
        return path.read_bytes(), label
    for split in ("search", "train"):
        row = _find(sample, _photos(workspace) / split)
        if row is not None:
            return row["image"]["bytes"], label or row["label"]
    raise SourceError(f"{sample} is neither an image file nor an id of the search or train split")


def _find(sample: str, folder: Path) -> dict[str, Any] | None:
    import pyarrow.dataset as pads

    rows = manifest.dataset(folder).to_table(
        columns=["sample_id", "image", "label"], filter=pads.field("sample_id") == sample
    )
    return rows.to_pylist()[0] if rows.num_rows else None

"""What people do to the evidence: pin incidents for replay, mark labels as wrong. Both are tracked by DVC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from components.core.digests import sample_id
from components.core.errors import ConfigError, DataError, SourceError, StateError
from components.core.manifest import Split
from components.core.workspace import Workspace
from components.selection.review import marks, replay
from components.selection.review.replay import Incident
from components.validation.retirement import set_aside
from components.workloads.rails.records import read_decisions
from flows.answers import Answer, Table
from flows.office import Office
from flows.placement import current_placement, keep_memory


def add_to_replay(samples: Sequence[str], *, reason: str, label: str | None = None) -> Answer:
    """Pin samples, by id or as image files with --label for the truth, that every later candidate must have right.

    SourceError for a sample that is neither an id of the search or train split nor a file.
    """
    office = Office.open()
    workspace = office.workspace
    with office.lock():
        certify = _unseen_ids(workspace)
        for sample in samples:
            asked, images = _question_of(sample, label, workspace)
            incident = Incident(**asked, who=office.settings.actor, why=reason)
            replay.add(workspace.replay, images, incident, certify_ids=certify)
        office.graph.track(workspace.replay)
    return show_replay()


def pin_burned(*, reason: str) -> Answer:
    """Move what an open look showed of the certify split to the replay set, and out of every split.

    Releases go on from there, and every candidate is on hold until `detent refresh` deals a new certify split.
    StateError when the last decisions burned nothing.
    """
    office = Office.open()
    workspace = office.workspace
    burned = {name for decision in read_decisions(workspace).values() for name in decision.burned_ids}
    if not burned:
        raise StateError("the last decisions burned no samples; only an open look does (selection.policy.mode: open)")
    with office.lock():
        certify = workspace.samples("certify")
        read, shown = certify.reader(), set[str]()
        for row in certify.table(["sample_id", "images", "ask", "truth"]).to_pylist():
            if row["sample_id"] in burned:
                shown |= {*row["images"]}
                incident = Incident(**_asked(row), who=office.settings.actor, why=reason or "open look")
                replay.add(workspace.replay, read(row["sample_id"]), incident)
        office.graph.track(workspace.replay)
        keep_memory(office, set_aside(current_placement(workspace, office.graph), shown))
    return show_replay()


def show_replay() -> Answer:
    """The pinned incidents."""
    incidents = replay.read_incidents(Office.open().workspace.replay)
    rows = [(incident.sample_id, incident.truth, incident.who, incident.why) for incident in incidents]
    columns = ("sample", "label", "who", "why")
    value = {"incidents": [dict(zip(columns, row, strict=True)) for row in rows]}
    return Answer(value=value, tables=[Table(title="must stay right", columns=columns, rows=rows)])


def mark_label(sample: str, *, reason: str, undo: bool = False) -> Answer:
    """Put on record that a search or replay sample is wrongly labelled; it counts no more from the next look on."""
    office = Office.open()
    workspace = office.workspace
    splits: tuple[Split, ...] = ("search", "replay")
    found = [split for split in splits if _find(sample, split, workspace) is not None]
    if not found:
        raise DataError(f"{sample} is neither in the search split nor in the replay set; reports show the ids")
    verdict: Literal["right", "wrong"] = "right" if undo else "wrong"
    who = office.settings.actor
    with office.lock():
        marks.mark(workspace.marks, sample, split=found[0], who=who, why=reason, verdict=verdict)
        office.graph.track(workspace.replay)
    return Answer(value={"sample": sample, "label": verdict}, lines=[f"{sample}: label on record as {verdict}"])


def _unseen_ids(workspace: Workspace) -> set[str]:
    """What nobody may look at, questions and images: certify, and the reserve that it is made of later."""
    splits: tuple[Split, ...] = ("certify", "reserve")
    tables = [
        workspace.samples(split).table(["sample_id", "images"])
        for split in splits
        if workspace.samples(split).images.is_dir()
    ]
    rows = [row for table in tables for row in table.to_pylist()]
    return {name for row in rows for name in (row["sample_id"], *row["images"])}


def _question_of(sample: str, truth: str | None, workspace: Workspace) -> tuple[dict[str, str], list[bytes]]:
    """What is asked in a sample, with its images; of a file, what is on it."""
    path = Path(sample)
    if path.is_file():
        if truth is None:
            raise ConfigError(f"{sample} is a file: say what is on it with --label")
        image = path.read_bytes()
        return {"sample_id": sample_id(image), "ask": "", "truth": truth}, [image]
    splits: tuple[Split, ...] = ("search", "train")
    for split in splits:
        row = _find(sample, split, workspace)
        if row is not None:
            asked = _asked(row)
            return asked | ({"truth": truth} if truth else {}), workspace.samples(split).reader()(sample)
    raise SourceError(f"{sample} is neither an image file nor an id of the search or train split")


def _asked(row: Mapping[str, Any]) -> dict[str, str]:
    return {"sample_id": row["sample_id"], "ask": row["ask"] or "", "truth": row["truth"] or ""}


def _find(sample: str, split: Split, workspace: Workspace) -> dict[str, Any] | None:
    samples = workspace.samples(split)
    return samples.find(sample) if len(samples) else None

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from components.core import digests, manifest
from components.core.errors import DataError, IntegrityError, LeakError
from components.selection.review.replay import Incident, add, read_incidents

IMAGE = b"encoded picture"
INCIDENT = Incident(sample_id=digests.sample_id(IMAGE), label="mug", who="kim", why="complaint 17")


def test_an_incident_is_pinned_once(tmp_path: Path) -> None:
    for _ in range(2):
        add(tmp_path, IMAGE, INCIDENT)
    assert read_incidents(tmp_path) == (INCIDENT,)
    rows = manifest.read(tmp_path).to_pylist()
    assert [(row["sample_id"], row["split"], row["label"]) for row in rows] == [(INCIDENT.sample_id, "replay", "mug")]


def test_swapped_content_certify_samples_and_silence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="is not the id of this picture"):
        add(tmp_path, b"another picture", INCIDENT)
    with pytest.raises(LeakError, match="certify"):
        add(tmp_path, IMAGE, INCIDENT, certify_ids={INCIDENT.sample_id})
    with pytest.raises(DataError, match="a name and a reason"):
        add(tmp_path, IMAGE, replace(INCIDENT, why=""))
    assert read_incidents(tmp_path) == ()

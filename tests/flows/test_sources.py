"""Sources are the workload's own: asked for by what belongs in them, taken in as manifests that DVC tracks."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from components.core import manifest
from components.core.errors import ConfigError, SourceError
from components.core.settings import Settings
from components.core.workloads import Source
from components.core.workspace import Workspace
from components.workloads.products.workload import WORKLOAD
from flows.office import Office
from flows.sources import fresh_sources, photo_source, take_in
from tests.flows.drawn import draw_sources, make_workspace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
FACES = Source(name="faces", summary="photos, a sub-folder a person", rows="photo", required=True)


@pytest.fixture
def office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Office:
    """The office of a workload whose one source is photos of people, without a catalogue."""
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    make_workspace(Workspace.from_settings(Settings()))
    opened = Office.open()
    opened.workload = replace(WORKLOAD, sources=(FACES,), check_sources=lambda _workspace: ["ann is alone"])
    return opened


def test_photos_alone_are_taken_in_and_tracked(
    office: Office, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    people = draw_sources(tmp_path / "sources", num_photos=2)["photos"]
    assert fresh_sources(office) == ["faces"]
    with caplog.at_level(logging.WARNING):
        take_in(office, {"faces": people})
    rows = manifest.read(office.workspace.source("faces"), ["label", "source"]).to_pylist()
    assert {row["label"] for row in rows} == {"ball", "box", "can"} and {row["source"] for row in rows} == {"photo"}
    assert {path.name for path in office.workspace.data.glob("*.dvc")} == {"faces.dvc", "replay.dvc"}
    assert "ann is alone" in caplog.text and fresh_sources(office) == []
    take_in(office, {})
    assert not office.workspace.source("catalog").exists()


def test_what_is_missing_or_unknown_is_named_before_anything_is_taken_in(office: Office) -> None:
    with pytest.raises(SourceError, match="no faces yet: name one with --source faces=DIR; photos, a sub-folder a per"):
        take_in(office, {})
    with pytest.raises(ConfigError, match="has no source catalog; it has faces"):
        take_in(office, {"catalog": "anywhere"})
    assert not any(office.workspace.data.glob("*.dvc"))


def test_the_photos_that_are_dealt_are_found_by_what_they_are(office: Office) -> None:
    assert photo_source(office.workload) == FACES and photo_source(WORKLOAD).name == "photos"
    with pytest.raises(ConfigError, match="no labelled photos"):
        photo_source(replace(WORKLOAD, sources=(replace(FACES, labelled=False),)))

"""What a champion answered is kept from its packaging, and a rollback holds its Bento to that, or is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from components.core.champions import Champion, Release
from components.core.digests import digest_file
from components.core.errors import IntegrityError
from components.core.files import write_json
from components.core.workloads import Parity
from components.core.workspace import Workspace
from components.packaging.building import content_digest
from components.workloads.classification.recording import compare
from flows.recordings import keep_winners_recording, reverify_in


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path, home=tmp_path / "home")


@pytest.fixture
def stored(workspace: Workspace) -> Champion:
    """A champion with a Bento that ships one file."""
    path = workspace.bentos / "bentos" / "detent" / "abc"
    (path / "src").mkdir(parents=True)
    (path / "bento.yaml").write_text("name: detent")
    (path / "src" / "weights").write_bytes(b"1")
    return champion(bento="detent:abc", bento_digest=content_digest(path))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is held to what, with which comparison, in place of starting a server."""
    calls: list[tuple[Any, ...]] = []

    def check(bento, recording: Path, *, compare) -> Parity:
        calls.append((bento.tag, recording.read_bytes(), compare))
        return Parity(num_samples=1, max_difference=0.0, tolerance=0.1)

    monkeypatch.setattr("components.packaging.parity.check_parity", check)
    return calls


def champion(**release: str) -> Champion:
    made = Release(model="f" * 64, version="3", **release)
    return Champion(
        workload="products", catalog="main", release=made, sequence=3, generation=1, origin=3, since="2026-01-01"
    )


def lay_out_packaging(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True)
    (folder / "recording").write_bytes(content)
    write_json(folder / "bento.json", {"tag": "detent:abc", "recording": digest_file(folder / "recording")})


@pytest.mark.parametrize("target", ["", "phone"])
def test_a_rollback_holds_the_bento_to_what_its_packaging_recorded(
    workspace: Workspace, stored: Champion, asked: list, target: str
) -> None:
    packaging = workspace.stage("packaging")
    lay_out_packaging(packaging / "targets" / target if target else packaging, b"kept")
    assert stored.bento_digest is not None
    keep_winners_recording(workspace, stored.bento_digest, target=target)
    reverify_in(workspace)(stored)
    assert asked == [("detent:abc", b"kept", compare)]


def test_a_recording_of_an_earlier_version_is_still_what_counts(
    workspace: Workspace, stored: Champion, asked: list
) -> None:
    old = workspace.home / "recordings" / f"{stored.bento_digest}.npz"
    old.parent.mkdir(parents=True)
    old.write_bytes(b"of an earlier version")
    assert stored.bento_digest is not None
    keep_winners_recording(workspace, stored.bento_digest)
    assert list(old.parent.iterdir()) == [old], "it is kept already"
    reverify_in(workspace)(stored)
    assert asked == [("detent:abc", b"of an earlier version", compare)]


def test_a_champion_that_was_never_packaged_is_refused(workspace: Workspace) -> None:
    with pytest.raises(IntegrityError, match="never packaged"):
        reverify_in(workspace)(champion())


def test_a_bento_that_was_changed_or_has_no_recording_is_refused(
    workspace: Workspace, stored: Champion, asked: list
) -> None:
    with pytest.raises(IntegrityError, match="the answers of version 3 are not in"):
        reverify_in(workspace)(stored)
    (workspace.bentos / "bentos" / "detent" / "abc" / "src" / "weights").write_bytes(b"2")
    with pytest.raises(IntegrityError, match="was changed after it was built"):
        reverify_in(workspace)(stored)
    assert not asked

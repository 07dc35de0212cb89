"""What a champion answered is kept whole, and a rollback without it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from components.core.errors import IntegrityError
from components.core.workspace import Workspace
from components.packaging.parity import Reference
from components.promotion.rows import Champion, Release
from components.workloads.classification.recording import read_recording, write_recording
from flows.recordings import reverify_in

REFERENCE = Reference(
    sample_ids=("a" * 32, "b" * 32),
    images=(b"\x00first\x00", b"second"),
    probabilities=np.array([[0.25, 0.75], [1.0, 0.0]], dtype=np.float32),
    classes=("mug", "lamp"),
    model_digest="f" * 64,
)


def champion(**release: str) -> Champion:
    made = Release(model="f" * 64, version="3", **release)
    return Champion(
        workload="products", catalog="main", release=made, sequence=3, generation=1, origin=3, since="2026-01-01"
    )


def test_a_recording_comes_back_as_it_was(tmp_path: Path) -> None:
    write_recording(tmp_path / "x.npz", REFERENCE)
    found = read_recording(tmp_path / "x.npz")
    assert (found.sample_ids, found.images, found.classes) == (
        REFERENCE.sample_ids,
        REFERENCE.images,
        REFERENCE.classes,
    )
    assert found.model_digest == REFERENCE.model_digest
    assert np.array_equal(found.probabilities, REFERENCE.probabilities)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04"])
def test_a_damaged_recording_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(IntegrityError, match=r"x\.npz cannot be read"):
        read_recording(tmp_path / "x.npz")


def test_a_champion_that_was_never_packaged_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path, home=tmp_path)
    with pytest.raises(IntegrityError, match="never packaged"):
        reverify_in(workspace)(champion())


def test_a_bento_that_was_changed_or_has_no_recording_is_refused(tmp_path: Path) -> None:
    from components.packaging.building import _shipped_digest

    workspace = Workspace(root=tmp_path, home=tmp_path)
    source = workspace.bentos / "bentos" / "detent" / "abc" / "src"
    source.mkdir(parents=True)
    (source.parent / "bento.yaml").write_text("name: detent")
    (source / "weights").write_bytes(b"1")
    given = {"bento": "detent:abc", "bento_digest": _shipped_digest(source)}
    with pytest.raises(IntegrityError, match="the predictions of version 3 are not in"):
        reverify_in(workspace)(champion(**given))
    (source / "weights").write_bytes(b"2")
    with pytest.raises(IntegrityError, match="was changed after it was built"):
        reverify_in(workspace)(champion(**given))

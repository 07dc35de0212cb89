"""A Bento pins what serving its own model needs: onnxruntime only where an ONNX program runs, however deep inside."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UnavailableError
from components.models.identity import CARD, WEIGHTS
from components.packaging import building
from components.serving import requirements
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, read_identity
from components.serving.requirements import ONNX_PACKAGE, SERVED_PACKAGES, pinned_requirements

CONVNET = {"family": "convnet", "num_classes": 2, "widths": [4], "blocks": [1]}
ONNX = {"family": "onnx", "num_bytes": 3, "batch": None}
HELD = {"family": "merged", "inner": {"family": "adapted", "inner": ONNX, "index": [1, 0]}, "outer": CONVNET}


def model(folder: Path, architecture: dict[str, Any], *, classes: tuple[str, ...] = ("cat", "dog")) -> Path:
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_bytes(b"weights")
    (folder / CARD).write_text(json.dumps({"architecture": architecture, "classes": classes}))
    return folder


def names(lines: tuple[str, ...]) -> list[str]:
    return [line.partition("==")[0] for line in lines]


@pytest.mark.parametrize(("architecture", "needed"), [(CONVNET, False), (ONNX, True), (HELD, True)])
def test_onnxruntime_is_pinned_where_it_runs(tmp_path: Path, architecture: dict[str, Any], needed: bool) -> None:
    lines = pinned_requirements(model(tmp_path / "m", architecture))
    assert set(names(lines)) == {*SERVED_PACKAGES, *([ONNX_PACKAGE] if needed else [])}
    assert names(lines) == sorted(names(lines))
    assert not needed or f"{ONNX_PACKAGE}=={version(ONNX_PACKAGE)}" in lines


def test_a_class_of_that_name_needs_nothing(tmp_path: Path) -> None:
    assert ONNX_PACKAGE not in names(pinned_requirements(model(tmp_path / "m", CONVNET, classes=("onnx", "dog"))))
    assert names(pinned_requirements(tmp_path / "nothing")) == sorted(SERVED_PACKAGES)


def test_a_staged_bento_names_it_in_its_identity_and_reads_its_own_card(tmp_path: Path) -> None:
    building._stage(tmp_path / "context", model(tmp_path / "m", HELD), {"version": "1"})
    identity = read_identity(tmp_path / "context" / IDENTITY_FILE)
    assert ONNX_PACKAGE in names(identity.requirements)
    assert identity.requirements == pinned_requirements(tmp_path / "context" / MODEL_FOLDER)
    assert Path(requirements.__file__).parents[2] / MODEL_FOLDER == requirements._OWN_MODEL


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "ONNX_PACKAGE", "no-such-runtime")
    with pytest.raises(UnavailableError, match="pip install no-such-runtime"):
        pinned_requirements(model(tmp_path / "m", ONNX))

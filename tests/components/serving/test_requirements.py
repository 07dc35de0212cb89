"""A Bento pins what serving and its workload need, and what this model alone needs."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from components.core.errors import UnavailableError
from components.models.identity import CARD, WEIGHTS
from components.packaging.building import stage_context
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, read_identity
from components.serving.requirements import SERVING_PACKAGES, pinned_requirements
from components.workloads.classification.service import ONNX_PACKAGE, SERVICE, packages_of

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


@pytest.mark.parametrize(("architecture", "needed"), [(CONVNET, ()), (ONNX, (ONNX_PACKAGE,)), (HELD, (ONNX_PACKAGE,))])
def test_onnxruntime_is_needed_where_it_runs(tmp_path: Path, architecture: dict[str, Any], needed: tuple) -> None:
    assert packages_of(model(tmp_path / "m", architecture)) == needed


def test_a_class_of_that_name_needs_nothing(tmp_path: Path) -> None:
    assert packages_of(model(tmp_path / "m", CONVNET, classes=("onnx", "dog"))) == ()


def test_a_staged_bento_names_what_it_needs_in_its_identity(tmp_path: Path) -> None:
    staged = stage_context(tmp_path / "context", model(tmp_path / "m", HELD), SERVICE, {"version": "1"})
    assert read_identity(tmp_path / "context" / IDENTITY_FILE) == staged
    assert set(names(staged.requirements)) == {*SERVING_PACKAGES, *SERVICE.packages, ONNX_PACKAGE}
    assert names(staged.requirements) == sorted(names(staged.requirements))
    assert f"{ONNX_PACKAGE}=={version(ONNX_PACKAGE)}" in staged.requirements
    assert (staged.application, staged.endpoint) == (SERVICE.application, "POST /classify")
    assert sorted(path.name for path in (tmp_path / "context" / MODEL_FOLDER).iterdir()) == [CARD, WEIGHTS]


def test_what_is_not_installed_is_named() -> None:
    with pytest.raises(UnavailableError, match="pip install no-such-runtime"):
        pinned_requirements(["no-such-runtime"])

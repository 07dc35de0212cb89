import json
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from components.core.errors import IntegrityError
from components.models.artefacts import model_digest
from components.packaging import packaging, parity
from components.packaging.packaging import package, read_bento
from components.packaging.parity import ParityReport, Reference

VERSION_INFO = {"version": "7", "workload": "products"}


def test_a_model_is_packaged_with_its_evidence(
    bento,
    port: int,
    model_folder: Path,
    reference: Reference,
    bento_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(parity, "_server", lambda *_: nullcontext(port))
    out = tmp_path / "data" / "packaging"
    summary = package(model_folder, reference, version_info=VERSION_INFO, bento_home=bento_home, out=out)
    assert summary.bento == bento
    assert read_bento(out / "bento.json", bento_home=bento_home) == bento
    assert json.loads((out / "bento.json").read_text()) == {
        "schema": 1,
        "tag": bento.tag,
        "digest": bento.digest,
        "path": f"bentos/detent/{bento.path.name}",
        "model_digest": model_digest(model_folder),
    }
    evidence = json.loads((out / "parity.json").read_text())
    assert evidence["bento"] == bento.tag
    assert evidence["num_samples"] == len(reference.images)
    assert evidence["max_difference"] <= evidence["tolerance"]
    assert model_digest(out / "model") == model_digest(model_folder)


def test_a_failed_parity_writes_nothing(
    bento, model_folder: Path, reference: Reference, bento_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> ParityReport:
        raise IntegrityError("another answer")

    monkeypatch.setattr(packaging, "check_parity", refuse)
    out = tmp_path / "out"
    with pytest.raises(IntegrityError, match="another answer"):
        package(model_folder, reference, version_info=VERSION_INFO, bento_home=bento_home, out=out)
    assert not out.exists()


def test_a_plain_build_ships_the_packaged_model(
    bento, model_folder: Path, reference: Reference, bento_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage's own Bento and that of `bentoml build` at the root hold the same files."""
    root = Path(packaging.__file__).parents[2]
    monkeypatch.setattr(packaging, "check_parity", lambda *_: ParityReport(num_samples=1, max_difference=0.0))
    package(model_folder, reference, version_info=VERSION_INFO, bento_home=bento_home, out=tmp_path / "data/packaging")
    (tmp_path / "bentofile.yaml").write_bytes((root / "bentofile.yaml").read_bytes())
    copy_tree(root / "components", tmp_path / "components")
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--version", "plain"],
        cwd=tmp_path,
        env={**os.environ, "BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "home/bentos/detent/plain/src") == files_of(bento.path / "src")


def copy_tree(source: Path, target: Path) -> None:
    for path in source.rglob("*.py"):
        (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
        (target / path.relative_to(source)).write_bytes(path.read_bytes())


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.name != "bentofile.yaml"
    }

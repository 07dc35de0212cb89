import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.core.digests import digest_file
from components.core.errors import DataError, IntegrityError
from components.core.workloads import Parity
from components.models.identity import model_digest
from components.packaging import packaging
from components.packaging.packaging import copy_package, keep_recording, package, read_bento
from components.workloads.classification.service import SERVICE

VERSION_INFO = {"version": "7", "workload": "products"}
PASSED = Parity(num_samples=3, max_difference=0.00012345678, tolerance=0.1)


def record(out: Path) -> None:
    out.write_bytes(b"what was answered")


def compare(port: int, recording: Path) -> Parity:
    """What stands for a workload; no server is started where `check_parity` is replaced."""
    assert port == 1234
    if recording.read_bytes() != b"what was answered":
        raise IntegrityError("another answer")
    return PASSED


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packaging, "check_parity", lambda _bento, recording, *, compare: compare(1234, recording))


@pytest.fixture
def packaged(bento, model_folder: Path, bento_home: Path, tmp_path: Path) -> Path:
    out = tmp_path / "data" / "packaging"
    summary = package(
        model_folder,
        service=SERVICE,
        record=record,
        compare=compare,
        version_info=VERSION_INFO,
        bento_home=bento_home,
        out=out,
    )
    assert (summary.bento, summary.parity) == (bento, PASSED)
    return out


def test_a_model_is_packaged_with_its_evidence(bento, packaged: Path, model_folder: Path, bento_home: Path) -> None:
    assert read_bento(packaged / "bento.json", bento_home=bento_home) == bento
    assert (packaged / "recording").read_bytes() == b"what was answered"
    assert json.loads((packaged / "bento.json").read_text()) == {
        "schema": 1,
        "tag": bento.tag,
        "digest": bento.digest,
        "path": f"bentos/detent/{bento.path.name}",
        "model_digest": model_digest(model_folder),
        "recording": digest_file(packaged / "recording"),
    }
    evidence = json.loads((packaged / "parity.json").read_text())
    assert evidence == {
        "schema": 1, "bento": bento.tag, "num_samples": 3, "max_difference": 0.000123, "tolerance": 0.1
    }  # fmt: skip
    assert model_digest(packaged / "model") == model_digest(model_folder)


def test_a_failed_parity_writes_nothing(bento, model_folder: Path, bento_home: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def other(out: Path) -> None:
        out.write_bytes(b"something else")

    with pytest.raises(IntegrityError, match="another answer"):
        package(
            model_folder,
            service=SERVICE,
            record=other,
            compare=compare,
            version_info=VERSION_INFO,
            bento_home=bento_home,
            out=out,
        )
    assert not out.exists()


def test_what_a_bento_was_held_to_is_copied_and_nothing_else_passes_for_it(packaged: Path, tmp_path: Path) -> None:
    copy_package(packaged, tmp_path / "targets" / "phone")
    keep_recording(tmp_path / "targets" / "phone", tmp_path / "kept" / "digest")
    assert (tmp_path / "kept" / "digest").read_bytes() == b"what was answered"
    (packaged / "recording").write_bytes(b"of another release")
    with pytest.raises(IntegrityError, match=r"not what the Bento of .* was held to: run the packaging stage again"):
        keep_recording(packaged, tmp_path / "kept" / "other")
    (packaged / "recording").unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        keep_recording(packaged, tmp_path / "kept" / "other")
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["digest"]


def test_what_is_said_of_no_bento_and_of_half_a_one(tmp_path: Path) -> None:
    (tmp_path / "bento.json").write_text('{"tag": null, "reason": "the gate let no candidate through"}')
    assert read_bento(tmp_path / "bento.json", bento_home=tmp_path) is None
    (tmp_path / "bento.json").write_text('{"tag": "detent:1", "path": "x", "model_digest": "0"}')
    with pytest.raises(DataError, match="field 'digest' is missing"):
        read_bento(tmp_path / "bento.json", bento_home=tmp_path)


def test_a_plain_build_ships_the_packaged_model(bento, packaged: Path) -> None:
    """The stage's own Bento and that of `bentoml build` at the root hold the same files."""
    root, here = Path(packaging.__file__).parents[2], packaged.parents[1]
    (here / "bentofile.yaml").write_bytes((root / "bentofile.yaml").read_bytes())
    copy_tree(root / "components", here / "components")
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--version", "plain"],
        cwd=here,
        env={**os.environ, "BENTOML_HOME": str(here / "home"), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert files_of(here / "home/bentos/detent/plain/src") == files_of(bento.path / "src")


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

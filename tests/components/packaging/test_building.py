import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

from components.core.errors import DataError, IntegrityError, SourceError, StateError
from components.packaging import building
from components.packaging.building import build_bento, check_content, find_bento
from components.workloads.classification.service import SERVICE
from components.workloads.registry import find_workload

ROOT = Path(building.__file__).parents[2]
VERSION_INFO = {"version": "7", "workload": "products"}
ROOMS = ("core", "datasets", "models", "serving", "workloads")

IMPORTS_ITS_OWN_SOURCE = """
import sys
sys.path.insert(0, ".")
class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {"pyarrow", "pandas", "mlflow", "prefect", "dvc", "great_expectations"}:
            raise ImportError(f"{name} is not shipped")
sys.meta_path.insert(0, Refuse())
from components.serving import service
heavy = [name for name in sys.modules if name == "torch" or name.startswith("components.workloads")]
assert not heavy, heavy
service.Detent.inner()
classifier = service.host._hosted.state.classifier
modules = [m.__file__ for n, m in sys.modules.items() if n.partition(".")[0] == "components"]
import os
assert all(file.startswith(os.getcwd()) for file in modules), modules
print(",".join(classifier.classes))
"""


def test_a_bento_ships_what_serving_needs_and_nothing_else(bento) -> None:
    shipped = {p.relative_to(bento.path / "src").as_posix() for p in (bento.path / "src").rglob("*") if p.is_file()}
    inside = {name.removeprefix("components/") for name in shipped if name.startswith("components/")}
    by_folder = {folder: {name for name in inside if name.startswith(f"{folder}/")} for folder in ROOMS}
    assert inside - set().union(*by_folder.values()) == {"__init__.py"}
    assert by_folder["core"] == {"core/__init__.py", "core/digests.py", "core/errors.py", "core/files.py"}
    assert by_folder["datasets"] == {"datasets/__init__.py", "datasets/decoding.py"}
    assert by_folder["workloads"] == {
        "workloads/__init__.py",
        "workloads/classification/__init__.py",
        "workloads/classification/application.py",
    }
    assert {"serving/server.py", "serving/guard.py", "models/networks/supernets.py"}.isdisjoint(inside)
    assert {name for name in shipped if not name.startswith("components/")} == {
        "bentofile.yaml",
        "data/packaging/identity.json",
        "data/packaging/model/model.json",
        "data/packaging/model/model.safetensors",
    }


def test_what_is_shipped_runs_alone(bento) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-B", "-c", IMPORTS_ITS_OWN_SOURCE],
        cwd=bento.path / "src",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "mug,lamp,chair,desk,sofa,shelf"


def test_requirements_are_the_installed_versions(bento) -> None:
    lines = (bento.path / "env" / "python" / "requirements.txt").read_text().split()
    assert f"torch=={version('torch').partition('+')[0]}" in lines
    assert f"bentoml=={version('bentoml')}" in lines
    assert all("==" in line for line in lines)
    assert not any(line.startswith(("pyarrow", "mlflow", "prefect")) for line in lines)


def test_building_again_finds_the_bento_that_is_there(bento, model_folder: Path, bento_home: Path) -> None:
    before = (bento.path / "bento.yaml").stat().st_mtime_ns
    assert build_bento(model_folder, service=SERVICE, version_info=VERSION_INFO, bento_home=bento_home) == bento
    assert (bento.path / "bento.yaml").stat().st_mtime_ns == before
    assert (bento.path.parent / "latest").read_text() == bento.path.name
    assert bento.path.name == bento.digest[:12]


def test_the_digest_does_not_depend_on_where_or_when(
    bento, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = []

    def stop(context: Path, home: Path, tag: str, description: str) -> Path:
        digests.append(building._shipped_digest(context))
        raise StateError("stop here")

    monkeypatch.setattr(building, "_run_build", stop)
    for info in (VERSION_INFO, {"version": "8"}):
        with pytest.raises(StateError, match="stop here"):
            build_bento(model_folder, service=SERVICE, version_info=info, bento_home=tmp_path / "home")
    assert digests[0] == bento.digest
    assert digests[1] != bento.digest
    assert sorted(p.name for p in (tmp_path / "home").iterdir()) == [".build.lock"]


def test_a_changed_file_is_noticed_and_built_anew(
    bento, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    path = home / "bentos" / "detent" / bento.path.name
    shutil.copytree(bento.path, path)
    (path / "src" / "components" / "core" / "errors.py").write_text("changed")
    with pytest.raises(IntegrityError, match=r"changed after it was built"):
        check_content(replace(bento, path=path))

    def rebuild(context: Path, home: Path, tag: str, description: str) -> Path:
        shutil.copytree(bento.path, home / tag)
        return home / tag

    monkeypatch.setattr(building, "_run_build", rebuild)
    again = build_bento(model_folder, service=SERVICE, version_info=VERSION_INFO, bento_home=home)
    assert again.path == path
    check_content(again)


KILLED_BUILD = """
import os, sys
from pathlib import Path
from components.packaging import building
building.install_directory = lambda made, path: os.kill(os.getpid(), 9)
building._run_build = lambda context, home, tag, _: context
from components.workloads.classification.service import SERVICE
building.build_bento(Path(sys.argv[1]), service=SERVICE, version_info={}, bento_home=Path(sys.argv[2]))
"""


def test_a_killed_build_leaves_nothing_that_counts(
    bento, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    killed = subprocess.run([sys.executable, "-c", KILLED_BUILD, str(model_folder), str(home)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert list(home.glob(".building-*"))
    assert list((home / "bentos").glob("*/*")) == []
    monkeypatch.setattr(building, "_run_build", lambda context, home, tag, _: shutil.copytree(bento.path, home / tag))
    build_bento(model_folder, service=SERVICE, version_info=VERSION_INFO, bento_home=home)
    assert not list(home.glob(".building-*"))
    assert find_bento(home, bento.tag).name == bento.path.name


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no model at .*model\.json is missing"):
        build_bento(tmp_path / "none", service=SERVICE, version_info={}, bento_home=tmp_path / "home")


@pytest.mark.parametrize("tag", ["detent:nothing", "detent", "detent:", "other:1", ""])
def test_an_unknown_tag_is_named(bento_home: Path, tag: str) -> None:
    with pytest.raises(SourceError, match="no Bento"):
        find_bento(bento_home, tag)


def test_bentofile_ships_what_the_stage_ships_for_products(bento) -> None:
    bentofile = yaml.safe_load((ROOT / "bentofile.yaml").read_text())
    assert bentofile["include"] == building.shipped_files(bento.path / "src"), "this is the list to put there"
    assert bentofile["service"] == building.SERVICE
    assert bentofile["description"] == find_workload("products").service.description


def test_a_plain_build_without_a_model_says_so(bento, tmp_path: Path) -> None:
    shutil.copytree(bento.path / "src" / "components", tmp_path / "components")
    shutil.copyfile(ROOT / "bentofile.yaml", tmp_path / "bentofile.yaml")
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build"],
        cwd=tmp_path,
        env={**os.environ, "BENTOML_HOME": str(tmp_path / "home"), "BENTOML_DO_NOT_TRACK": "True"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "no model at data/packaging/model" in done.stderr
    assert "Traceback" not in done.stderr

"""The package as it is installed: a workspace outside any clone, made and run by the wheel alone."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml

from components.workloads.products.workload import WORKLOAD
from tests.flows.drawn import PARAMS, draw_sources

ROOT = Path(__file__).resolve().parents[2]
UV = Path(sysconfig.get_path("scripts")) / "uv"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment that holds the wheel, and sees the dependencies of this one but not its clone."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "env", with_pip=False)
    python = folder / "env" / "bin" / "python"
    subprocess.run([UV, "pip", "install", "--quiet", "--no-deps", "--python", python, wheel], check=True)
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return folder / "env" / "bin"


def call(installed: Path, folder: Path, *arguments: str | Path) -> str:
    """Run something of the environment in a folder, with nothing of this process's environment but the path."""
    own = {"PATH": f"{installed}:{os.environ['PATH']}", "HOME": str(folder), "GIT_CEILING_DIRECTORIES": "/tmp"}
    done = subprocess.run(
        [installed / arguments[0], *arguments[1:]], cwd=folder, env=own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_makes_a_workspace_and_validates_in_it(installed: Path, tmp_path: Path) -> None:
    where = Path(call(installed, tmp_path, "python", "-c", "import components; print(components.__file__)").strip())
    assert where.is_relative_to(installed.parent), "the wheel's own code, not this clone's"
    sources = [f"--{name}={address}" for name, address in draw_sources(tmp_path / "sources", num_photos=20).items()]
    told = call(installed, tmp_path, "detent", "init", "shop", "--workload", "products", "--catalog-name", "drawn")
    assert "next: cd shop && detent run --catalog DIR" in told
    shop = tmp_path / "shop"
    params = yaml.safe_load((shop / "params.yaml").read_text())
    (shop / "params.yaml").write_text(yaml.safe_dump({**params, "validation": PARAMS["validation"]}))
    planned = json.loads(call(installed, shop, "detent", "run", "--dry-run", "--json", *sources))
    assert list(planned["would_run"]) == list(WORKLOAD.stages)
    ran = json.loads(call(installed, shop, "detent", "run", "validation", "--json", *sources))
    assert ran["ran"] == ["validation"]
    assert (shop / ".detent" / "reports" / "validation.html").is_file() and (shop / "dvc.lock").is_file()
    status = json.loads(call(installed, shop, "detent", "status", "--json"))
    assert status["would_run"] == [name for name in WORKLOAD.stages if name != "validation"]
    assert not list(shop.rglob("*.py"))


def test_dvc_by_hand_agrees_in_it(installed: Path, tmp_path: Path) -> None:
    call(installed, tmp_path, "detent", "init", "shop", "--workload", "products", "--no-git")
    told = call(installed, tmp_path / "shop", "python", "-m", "dvc", "stage", "list", "--names-only")
    assert told.split() == ["code", *WORKLOAD.stages]

"""Code that changed makes its stages run again and shows in what they make; words do not. The tests tell one story."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

import components
from components.core import closures
from components.core.files import read_json
from components.core.workspace import Workspace
from components.tracking.runs import Tracker
from flows.commands.run import run_release
from flows.commands.status import read_status
from flows.office import Office

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
Release = tuple[Workspace, dict[str, str | None]]
ROOT = Path(components.__file__).parents[1]
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Has the code looked for in a copy of the package with text replaced in one of its files."""

    def install(name: str, old: str, new: str) -> None:
        root = tmp_path / "components"
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(ROOT / "components", root, ignore=shutil.ignore_patterns("__pycache__"))
        text = (root / name).read_text(encoding="utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        monkeypatch.setattr(
            closures, "find_spec", lambda _name: SimpleNamespace(submodule_search_locations=[str(root)])
        )

    return install


def made_from(workspace: Workspace) -> str:
    return str(read_json(workspace.stage("training") / "plain" / "candidate.json")["made_from"])


def by_hand(workspace: Workspace, *arguments: str) -> str:
    """What DVC says by hand, in the workspace, with the code of this tree."""
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=workspace.root,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_run_again_has_nothing_to_do(release: Release) -> None:
    workspace, sources = release
    assert run_release("training", sources=sources).value["ran"] == ["synthesis", "training", "validation"]
    recipe = read_json(workspace.stage("synthesis") / "recipe.json")
    assert recipe["code"] == Office.open().code["synthesis"]
    assert run_release("training", sources={}).value["ran"] == []
    locked = yaml.safe_load((workspace.root / "dvc.lock").read_text())["stages"]
    assert "data/code/training.json" in {dep["path"] for dep in locked["training"]["deps"]}
    assert "code" not in read_status().value["would_run"]


def test_a_readme_and_a_comment_run_nothing(release: Release, install: Install) -> None:
    workspace, _ = release
    before = made_from(workspace)
    install("training/losses.py", "\n", "\n# in other words\n")
    assert run_release("training", sources={}).value["ran"] == []
    install("training/README.md", "#", "# On")
    assert run_release("training", sources={}).value["ran"] == []
    assert made_from(workspace) == before


def test_a_changed_loss_trains_again_and_shows_in_the_models_provenance(release: Release, install: Install) -> None:
    workspace, _ = release
    before, code = made_from(workspace), Office.open().code
    install("training/losses.py", "return", "1 + 1\n        return")
    assert Office.open().changes("training") == {"training": ["input data/code/training.json: modified"]}
    assert run_release("training", sources={}).value["ran"] == ["training"]
    assert made_from(workspace) != before
    tracker = Tracker.open(Office.open().settings.mlflow_address, home=workspace.home)
    runs = tracker.client.search_runs([tracker.experiment_id], "tags.`detent.stage` = 'training'")
    told = {run.data.tags.get("detent.code_digest") for run in runs} - {None}
    assert code["training"] in told and Office.open().code["training"] in told and len(told) == 2
    assert run_release("training", sources={}).value["ran"] == []


def test_by_hand_dvc_takes_the_code_that_is_here_now_and_then_has_nothing_to_do(release: Release) -> None:
    """The story so far ended with other code than this tree's, which `dvc repro` is to notice by itself."""
    workspace, _ = release
    told = by_hand(workspace, "repro", "training")
    assert "Running stage 'code'" in told and "Running stage 'training'" in told
    assert "Stage 'synthesis' didn't change, skipping" in told
    told = by_hand(workspace, "repro", "training")
    assert "Running stage 'code'" in told
    assert all(f"Stage '{name}' didn't change, skipping" in told for name in ("validation", "synthesis", "training"))
    assert run_release("training", sources={}).value["ran"] == [], "both ways do the same work"

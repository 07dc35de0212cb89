"""A workspace of one's own is made once, added to where something is missing, and brought along by later versions."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from components.core.errors import ConfigError, StateError
from components.core.settings import Settings
from components.core.workloads import Source
from components.core.workspace import Workspace
from components.workloads.products.workload import WORKLOAD
from components.workloads.registry import load_params
from flows.commands.init import BEFORE, init_workspace, upgrade_workspace
from flows.commands.run import run_release
from flows.commands.status import read_status
from flows.layout import lay_out, pipeline, starting_params
from flows.office import Office

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
ROOT = Path(__file__).resolve().parents[3]
FILES = ["params.yaml", "dvc.yaml", ".gitignore", "data/.gitignore", "data/README.md", ".dvc"]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a workspace is to be, outside any repository and with no git identity."""
    monkeypatch.setenv("DETENT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "shop"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / "shop"


def test_a_new_workspace_is_under_git_and_dvc_and_holds_no_code(shop: Path) -> None:
    answer = init_workspace(str(shop), workload="products", catalog="spring")
    assert answer.value["added"] == tuple(FILES) and answer.value["kept"] == ()
    assert answer.after[0].endswith("detent run --catalog DIR")
    assert not list(shop.rglob("*.py"))
    params = load_params(Workspace.from_settings(Settings()))
    assert (params.workload, params.catalog, params.people.default_roles) == (
        "products",
        "spring",
        ("engineer", "release manager"),
    )
    assert git(shop, "rev-parse", "--show-toplevel") == str(shop)
    git(shop, "add", "--all")
    listed = set(git(shop, "ls-files").splitlines())
    assert {"params.yaml", "dvc.yaml", ".dvc/config", "data/README.md"} <= listed
    assert not {name for name in listed if name.startswith(".detent")}
    assert read_status().value["would_run"] == list(WORKLOAD.stages)


def test_what_is_missing_is_added_and_what_is_there_is_left(shop: Path) -> None:
    init_workspace(str(shop), workload="products")
    (shop / "params.yaml").write_text("workload: products # mine\n")
    (shop / "dvc.yaml").unlink()
    shutil.rmtree(shop / ".dvc")
    answer = init_workspace(str(shop), workload="products")
    assert answer.value["added"] == ("dvc.yaml", ".dvc")
    assert (shop / "params.yaml").read_text() == "workload: products # mine\n"


def test_a_folder_with_other_things_is_refused_and_left_alone(shop: Path) -> None:
    shop.mkdir()
    (shop / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="is not empty and no workspace"):
        init_workspace(str(shop), workload="products")
    assert [path.name for path in shop.iterdir()] == ["letter.txt"]
    (shop / "params.yaml").write_text("workload: palms")
    with pytest.raises(ConfigError, match="is a workspace of workload palms"):
        init_workspace(str(shop), workload="products")
    with pytest.raises(ConfigError, match="unknown workload 'melons', known: "):
        init_workspace(str(shop / "new"), workload="melons")
    with pytest.raises(ConfigError, match="is a file"):
        init_workspace(str(shop / "letter.txt"), workload="products")


def test_inside_a_repository_none_is_made_and_an_ignored_folder_needs_none(shop: Path) -> None:
    shop.mkdir()
    git(shop, "init", "--quiet")
    (shop / ".gitignore").write_text("scratch/\n")
    init_workspace(str(shop / "kept"), workload="products")
    assert not (shop / "kept" / ".git").exists() and git(shop, "ls-files") != ""
    init_workspace(str(shop / "scratch" / "mine"), workload="products")
    assert not (shop / "scratch" / "mine" / ".git").exists()
    assert "no_scm = True" in (shop / "scratch" / "mine" / ".dvc" / "config").read_text()


def test_the_repositorys_own_files_are_what_init_writes_for_products(tmp_path: Path) -> None:
    lay_out(tmp_path / "shop", WORKLOAD, git=False)
    ignored = (tmp_path / "shop" / "data" / ".gitignore").read_text(encoding="utf-8")
    assert ignored == (ROOT / "data" / ".gitignore").read_text(encoding="utf-8")
    assert starting_params(WORKLOAD) == (ROOT / "params.yaml").read_text(encoding="utf-8")
    assert pipeline(WORKLOAD) == (ROOT / "dvc.yaml").read_text(encoding="utf-8")


def test_a_workload_without_synthesis_and_words_of_its_own_gets_every_default(shop: Path) -> None:
    stages = {name: step for name, step in WORKLOAD.stages.items() if name != "synthesis"}
    faces = Source(name="faces", summary="photos, a sub-folder a person", rows="photo", required=True)
    pairs = replace(WORKLOAD, name="pairs", stages=stages, sources=(faces,), starting_params=None)
    lay_out(shop, pairs, catalog="staff", git=False)
    params = yaml.safe_load((shop / "params.yaml").read_text())
    assert (params["workload"], params["catalog"]) == ("pairs", "staff")
    assert params.keys() == pairs.params.model_fields.keys()
    assert list(yaml.safe_load((shop / "dvc.yaml").read_text())["stages"]) == ["code", *stages]
    assert "`faces/`: photos, a sub-folder a person" in (shop / "data" / "README.md").read_text()


def age(shop: Path) -> str:
    """Make a workspace look like one of an earlier version; returns its dvc.yaml."""
    graph = yaml.safe_load((shop / "dvc.yaml").read_text())
    graph["stages"]["training"]["deps"] = ["components/training", "data/synthesis"]
    text = yaml.safe_dump(graph)
    (shop / "dvc.yaml").write_text(text)
    params = yaml.safe_load((shop / "params.yaml").read_text())
    del params["packaging"]
    (shop / "params.yaml").write_text("# mine\n" + yaml.safe_dump(params))
    return text


def test_a_run_in_a_workspace_of_an_earlier_version_names_upgrade(shop: Path) -> None:
    init_workspace(str(shop), workload="products", git=False)
    graph = yaml.safe_load((shop / "dvc.yaml").read_text())
    graph["stages"]["training"]["deps"].append("data/mine")
    (shop / "dvc.yaml").write_text(yaml.safe_dump(graph))
    assert Office.open().changes(), "what a user has added is theirs"
    graph["stages"]["training"]["deps"].remove("data/baseline")
    (shop / "dvc.yaml").write_text(yaml.safe_dump(graph))
    with pytest.raises(StateError, match=r"earlier version \(training does not know data/baseline\): `detent upgrade`"):
        run_release("release", dry_run=True, sources={"catalog": "anywhere"})


def test_upgrade_rewrites_the_graph_adds_sections_and_then_has_nothing_to_do(shop: Path) -> None:
    init_workspace(str(shop), workload="products", git=False)
    old = age(shop)
    answer = upgrade_workspace()
    assert answer.value == {"params": ["packaging"], "pipeline": True, "would_run": list(WORKLOAD.stages)}
    assert (shop / BEFORE).read_text() == old and (shop / "dvc.yaml").read_text() == pipeline(WORKLOAD)
    assert (shop / "params.yaml").read_text().startswith("# mine\n")
    assert load_params(Workspace.from_settings(Settings())).packaging.parity_samples == 64
    again = upgrade_workspace()
    assert again.value["params"] == [] and not again.value["pipeline"]
    assert again.lines == ["all is of this version; nothing was changed"]

"""DVC is asked what has to be made again, and dvc.lock says what a stage read, or nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.core.errors import ConfigError, StateError
from flows.graph import Graph

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")  # of DVC's own

STAGES = """
stages:
  validation:
    cmd: "true"
    deps: [data/photos]
    outs: [data/validation]
  synthesis:
    cmd: "true"
    deps: [data/validation]
    outs: [data/synthesis]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    from dvc.repo import Repo

    (tmp_path / "dvc.yaml").write_text(STAGES)
    (tmp_path / "data" / "photos").mkdir(parents=True)
    (tmp_path / "data" / "photos" / "shard").write_text("rows")
    Repo.init(str(tmp_path), no_scm=True).close()
    return tmp_path


def make(root: Path, stage: str, content: str) -> None:
    folder = root / "data" / stage
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "made").write_text(content)


def test_a_stage_runs_once_and_again_when_what_it_read_is_another(root: Path) -> None:
    graph, here = Graph(root), Path.cwd()
    assert graph.changes(("validation",)) == {"validation": ["it never ran here"]}
    with graph.recording("validation"):
        make(root, "validation", "one")
    assert graph.changes(("validation",)) == {} and graph.ran_before("validation")
    (root / "data" / "photos" / "shard").write_text("other rows")
    assert graph.changes(("validation",)) == {"validation": ["input data/photos: modified"]}
    shutil.rmtree(root / "data" / "validation")
    assert "output data/validation: deleted" in graph.changes(("validation",))["validation"]
    assert Path.cwd() == here


def test_an_input_that_changes_while_a_stage_runs_leaves_nothing_on_record(root: Path) -> None:
    graph = Graph(root)
    with pytest.raises(StateError, match="data/photos changed while the validation stage ran"):  # noqa: SIM117
        with graph.recording("validation"):
            make(root, "validation", "one")
            (root / "data" / "photos" / "shard").write_text("other rows")
    assert not graph.ran_before("validation")


def test_a_changed_input_is_adopted_only_where_nothing_else_changed(root: Path) -> None:
    graph, photos = Graph(root), root / "data" / "photos"
    with graph.recording("validation"):
        make(root, "validation", "one")
    (photos / "shard").write_text("other rows")
    make(root, "validation", "tampered")
    graph.adopt("validation", photos)
    assert "input data/photos: modified" in graph.changes(("validation",))["validation"]
    make(root, "validation", "one")
    graph.adopt("validation", photos)
    assert graph.changes(("validation",)) == {}


def test_a_tracked_folder_comes_back_and_a_lost_one_is_named(root: Path) -> None:
    graph, photos = Graph(root), root / "data" / "photos"
    graph.track(photos)
    shutil.rmtree(photos)
    graph.restore(photos)
    assert (photos / "shard").read_text() == "rows"
    shutil.rmtree(photos)
    shutil.rmtree(root / ".dvc" / "cache")
    with pytest.raises(StateError, match="dvc pull data/photos"):
        graph.restore(photos)


def test_a_folder_that_is_no_workspace_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"dvc\.yaml is missing"):
        Graph(tmp_path)
    (tmp_path / "dvc.yaml").write_text(STAGES)
    with pytest.raises(ConfigError, match="not under DVC"):
        Graph(tmp_path).changes()

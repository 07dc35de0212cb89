"""MLflow through the tracker: a story with an end, ghosts that are ended, one start for eight processes."""

import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import pytest

from components.core.errors import DataError, StateError
from components.models.identity import model_digest
from components.tracking.registry import DIGEST, champion_alias, fetch_model, register_model, set_champion_alias
from components.tracking.runs import NOTE, PARENT, PROCESS, Tracker

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::ResourceWarning", "ignore::FutureWarning"
)


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    home = tmp_path_factory.mktemp("home")
    return Tracker.open(f"sqlite:///{home}/mlflow/mlflow.db", home=home)


def test_a_run_ends_as_it_went(tracker: Tracker) -> None:
    with tracker.run("parent") as parent, tracker.run("child", parent=parent) as child:
        tracker.log(child, params={"a": {"b": 1}}, metrics={"x": 0.5}, tags={"t": "u"})
        tracker.log_curve(child, "loss", [3.0, 2.0])
    run = tracker.client.get_run(child)
    assert run.info.status == "FINISHED" and run.data.tags[PARENT] == parent
    assert run.data.params == {"a.b": "1"} and run.data.metrics == {"x": 0.5, "loss": 2.0}
    assert [point.step for point in tracker.client.get_metric_history(child, "loss")] == [1, 2]


def test_a_failure_and_an_interruption_are_told_apart(tracker: Tracker) -> None:
    with pytest.raises(ValueError, match="broken"), tracker.run("fails") as failed:
        raise ValueError("broken")
    with pytest.raises(KeyboardInterrupt), tracker.run("stopped") as stopped:
        raise KeyboardInterrupt
    assert tracker.client.get_run(failed).info.status == "FAILED"
    assert "broken" in tracker.client.get_run(failed).data.tags[NOTE]
    assert tracker.client.get_run(stopped).info.status == "KILLED"


def test_only_ghosts_are_ended(tracker: Tracker) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from components.core.processes import process_mark as p; print(p())"],
        capture_output=True,
        text=True,
        check=True,
    )
    dead = tracker.client.create_run(tracker.experiment_id, tags={PROCESS: done.stdout.strip()}).info.run_id
    foreign = tracker.client.create_run(tracker.experiment_id, tags={PROCESS: "elsewhere:1:1"}).info.run_id
    with tracker.run("alive") as alive:
        assert tracker.end_ghosts() == [dead]
        assert tracker.client.get_run(alive).info.status == "RUNNING"
    assert tracker.client.get_run(dead).info.status == "FAILED"
    assert tracker.client.get_run(foreign).info.status == "RUNNING"
    tracker.client.set_terminated(foreign, "FINISHED")


def test_a_digest_is_registered_once_and_comes_back_whole(tracker: Tracker, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.json").write_text('{"files": ["model.safetensors", "catalog.index"]}')
    (model / "model.safetensors").write_text("weights")
    (model / "catalog.index").write_text("index")
    (model / ".left-by-a-kill").write_text("half")
    with tracker.run("candidate") as run_id:
        first = register_model(tracker, "shop", model, run_id=run_id, tags={DIGEST: "d" * 64})
        again = register_model(tracker, "shop", model, run_id=run_id, tags={DIGEST: "d" * 64})
    assert first == again == "1"
    fetch_model(tracker, "shop", "d" * 64, out=tmp_path / "back")
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == [
        "catalog.index",
        "model.json",
        "model.safetensors",
    ]
    assert model_digest(tmp_path / "back") == model_digest(model)
    with pytest.raises(StateError, match="no version of 'shop'"):
        fetch_model(tracker, "shop", "e" * 64, out=tmp_path / "other")
    (model / "notes.txt").write_text("not listed")
    with (
        tracker.run("another") as run_id,
        pytest.raises(DataError, match=r"notes\.txt, which model\.json does not list"),
    ):
        register_model(tracker, "shop", model, run_id=run_id, tags={DIGEST: "f" * 64})
    assert champion_alias(tracker, "shop") is None
    set_champion_alias(tracker, "shop", digest="d" * 64, sequence=7)
    assert champion_alias(tracker, "shop") == ("d" * 64, 7)
    assert champion_alias(tracker, "shop", "phone") is None
    set_champion_alias(tracker, "shop", digest="d" * 64, sequence=9, target="phone")
    assert champion_alias(tracker, "shop", "phone") == ("d" * 64, 9)
    assert champion_alias(tracker, "shop") == ("d" * 64, 7)
    assert tracker.client.get_model_version_by_alias("shop", "champion-phone").tags[DIGEST] == "d" * 64


def _open(home: str) -> str:
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    return Tracker.open(f"sqlite:///{home}/mlflow/mlflow.db", home=Path(home)).experiment_id


def test_processes_that_race_the_first_start_all_survive(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        ids = pool.map(_open, [str(tmp_path)] * 3)
    assert len(set(ids)) == 1

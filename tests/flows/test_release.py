"""The main job through the real flow, on drawn images; the tests tell one story and run in order."""

import os
import signal
import subprocess
import sys
import time

import pytest

from components.core import manifest
from components.core.errors import ConfigError, StateError
from components.core.settings import Settings
from components.core.stages import read_report
from components.core.workspace import STAGES, Workspace
from components.tracking.registry import DIGEST, champion_alias
from components.tracking.runs import PARENT, Tracker
from components.workloads.rails.records import pinned_digest, read_decisions
from flows.commands.compare import compare_models
from flows.commands.decide import show_history, verify_journal
from flows.commands.images import remake_sample, revoke_asset
from flows.commands.run import run_release
from flows.commands.status import read_status
from flows.graph import Graph
from flows.office import Office
from tests.flows.drawn import PARAMS, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
Release = tuple[Workspace, dict[str, str]]
LONGER = {"plain": {**PARAMS["training"]["candidates"]["plain"], "epochs": 9}}
CONTAINED = {
    "contained": {"treatment": "contained", "widths": [8, 16], "blocks": [1, 1], "epochs": 3, "learning_rate": 0.01}
}


def champion_digest(workspace: Workspace) -> str | None:
    del workspace
    champion = Office.open().champion()
    return champion.model if champion is not None else None


def test_first_release_becomes_champion_and_is_packaged(release: Release) -> None:
    workspace, sources = release
    answer = run_release("release", sources=sources)
    assert answer.exit_code == 0
    assert answer.value["ran"] == ["validation", "synthesis", "training", "selection", "packaging"]
    assert answer.value["promoted"] and answer.value["winner"] == "plain"
    assert champion_digest(workspace) == answer.value["champion"]
    packaged = read_report(workspace.stage("packaging"))
    assert packaged.facts["bento"] == answer.value["bento"]
    assert packaged.metrics["parity_max_difference"] <= 1e-3


def test_the_run_is_on_record_in_mlflow(release: Release) -> None:
    workspace, _ = release
    settings = Settings()
    tracker = Tracker.open(settings.mlflow_address, home=workspace.home)
    runs = tracker.client.search_runs([tracker.experiment_id])
    (parent,) = [run for run in runs if PARENT not in run.data.tags]
    names = {run.info.run_name for run in runs if run.data.tags.get(PARENT) == parent.info.run_id}
    assert names == {"validation", "synthesis", "training", "selection", "packaging"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.params["training.size_px"] == "24"
    (version,) = tracker.client.search_model_versions("name = 'products-drawn'")
    shown = champion_alias(tracker, "products-drawn")
    assert shown is not None and shown[0] == version.tags[DIGEST] == champion_digest(workspace)


def test_an_image_is_made_again_and_its_assets_are_traced_to_the_champion(release: Release) -> None:
    workspace, _ = release
    row = manifest.read(workspace.stage("synthesis")).to_pylist()[0]
    copy = workspace.home / "again.jpg"
    remake_sample(row["sample_id"], out=str(copy))
    assert copy.read_bytes() == row["image"]["bytes"]
    photo = manifest.read(workspace.stage("validation") / "photos" / "train")["sample_id"][0].as_py()
    for asset, where in (
        (row["parents"][0], "data/catalog"),
        (row["parents"][1], "data/backgrounds"),
        (photo, "data/photos"),
    ):
        told = revoke_asset(asset).value
        assert where in {dataset["path"] for dataset in told["datasets"]}
        assert [model["champion"] for model in told["models"]] == ["now"]
        assert told["bentos"] == [read_report(workspace.stage("packaging")).facts["bento"]]
        assert len(told["past_datasets"]) == (asset != photo) and not told["unknown_models"]


def test_a_second_run_does_nothing_and_does_not_start_prefect(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, sources = release
    monkeypatch.setitem(sys.modules, "prefect", None)  # importing it would fail
    answer = run_release("release", sources=sources)
    assert answer.value["ran"] == [] and answer.value["promoted"]
    assert read_status().value["would_run"] == []


def test_dvc_by_hand_agrees(release: Release) -> None:
    workspace, _ = release
    command = [sys.executable, "-m", "dvc", "repro", "--dry"]
    done = subprocess.run(command, cwd=workspace.root, capture_output=True, text=True, check=True)
    assert all(f"Stage '{stage}' didn't change, skipping" in done.stdout for stage in STAGES)


def test_a_changed_parameter_redoes_only_what_depends_on_it(release: Release) -> None:
    workspace, _ = release
    write_params(workspace, packaging={"parity_samples": 9})
    answer = run_release("release", sources={})
    assert answer.value["ran"] == ["packaging"]
    policy = {"policy": {**PARAMS["selection"]["policy"], "bootstrap_accuracy": 0.31}}
    write_params(workspace, packaging={"parity_samples": 9}, selection=policy)
    answer = run_release("release", sources={})
    assert "selection" in answer.value["ran"] and "training" not in answer.value["ran"]


def test_a_change_during_a_stage_is_not_recorded_as_read(release: Release) -> None:
    workspace, _ = release
    write_params(workspace, packaging={"parity_samples": 7})
    graph = Graph(workspace.root)
    with (
        pytest.raises(StateError, match=r"params\.yaml changed while the packaging stage ran"),
        graph.recording("packaging"),
    ):
        write_params(workspace, packaging={"parity_samples": 6})
    assert "packaging" in graph.changes()


def test_one_release_at_a_time(release: Release) -> None:
    with Office.open().lock(), pytest.raises(StateError, match="another release is at work"):
        run_release("release", sources={})


def test_killed_in_training_goes_on_and_leaves_no_ghost(release: Release) -> None:
    """kill -9 once the first epoch is on disk; the next run resumes and is compared with the champion."""
    workspace, _ = release
    before = champion_digest(workspace)
    slow = {"plain": {**LONGER["plain"], "epochs": 400}}
    write_params(workspace, candidates=slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ
    )
    try:
        deadline = time.monotonic() + 600
        while not list(workspace.scratch.glob("*.checkpoint")):
            assert process.poll() is None and time.monotonic() < deadline, "the run ended before its first checkpoint"
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert champion_digest(workspace) == before == pinned_digest(workspace)
    assert set(read_status().value["would_run"]) == {"training", "selection", "packaging"}
    write_params(workspace, candidates={**LONGER, **CONTAINED})
    answer = run_release("release", sources={})
    assert answer.value["ran"] == ["training", "selection", "packaging"]
    assert set(answer.value["decisions"]) == {"plain", "contained"}
    floors = [decision.noise_floor for decision in read_decisions(workspace).values()]
    assert all(floor is not None and floor.num_reseeds == 1 for floor in floors), "without a word in params.yaml"
    tracker = Tracker.open(Settings().mlflow_address, home=workspace.home)
    runs = tracker.client.search_runs([tracker.experiment_id])
    assert "RUNNING" not in {run.info.status for run in runs}
    assert "FAILED" in {run.info.status for run in runs}, "the killed run must be told of"


def test_a_comparison_of_versions_tells_its_price_and_asks(release: Release) -> None:
    told: list[str] = []

    def no(price: str) -> bool:
        told.append(price)
        return False

    looks = read_status().value["looks"]
    with pytest.raises(ConfigError, match="say --yes"):
        compare_models("1", "2", confirm=no)
    assert f"look {looks + 1} tests at" in told[0] and "every look makes the later ones dearer" in told[0]
    assert read_status().value["looks"] == looks
    same = compare_models("1", "1", confirm=no)
    assert (len(told), same.value["look"], read_status().value["looks"]) == (1, None, looks)


def test_status_and_verify_tell_how_the_budget_stands(release: Release) -> None:
    workspace, _ = release
    value = read_status().value
    assert value["looks"] >= 1 and value["next_level"] > 0.0
    assert value["anchor_committed"] is False, "a workspace without git cannot keep its witness"
    assert any("certify: look" in line for line in read_status().lines)
    assert verify_journal().value["ok"]
    (row, *_) = show_history(kind="look").value["rows"]
    assert row["reason"].startswith("look 1 at the certify split, charged at level")
    kept = workspace.ledger_anchor.read_text()
    workspace.ledger_anchor.write_text(kept.replace('"head": "', '"head": "0'))
    broken = verify_journal()
    assert (broken.value["ok"], broken.exit_code) == (False, 1)
    assert "does not match its anchor" in str(broken.value["looks"])
    workspace.ledger_anchor.write_text(kept)


def test_without_photos_nothing_is_certified(release: Release) -> None:
    """Synthetic images alone: a model and a decision, but no promotion."""
    workspace, _ = release
    before = champion_digest(workspace)
    for path in (workspace.source("photos"), workspace.data / "photos.dvc"):
        path.rename(path.with_name(f"kept-{path.name}"))
    write_params(workspace, candidates=LONGER)
    answer = run_release("release", sources={})
    assert answer.exit_code == 3 and answer.value["decisions"] == {"plain": "HOLD"}
    assert champion_digest(workspace) == before

"""A split stays where it is through seeds, shares and copies, and is refreshed on purpose; one story, in order."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core import manifest
from components.core.decisions import Decision
from components.core.errors import ConfigError, StateError
from components.core.workspace import Workspace
from components.validation.placement import MEMBERS, read_placement
from components.workloads.__main__ import run_stage
from components.workloads.registry import load_params
from flows.budget import fresh_split_size
from flows.commands.refresh import refresh_split
from flows.commands.review import pin_burned
from flows.commands.run import run_release
from flows.graph import Graph
from flows.placement import current_placement
from tests.flows.drawn import PARAMS, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
Release = tuple[Workspace, dict[str, str]]
OTHER = {"shares": {"train": 0.3, "search": 0.2, "certify": 0.5}, "split_seed": 5}
SPLITS = ("train", "search", "certify", "reserve")

# drawn photos share their grounds, and would be scenes; here every photo is to be a group of its own
VALIDATION = {**PARAMS["validation"], "scenes": {"features": "none"}}


def validate(workspace: Workspace, sources: dict[str, str] | None = None, **validation: object) -> list[str]:
    write_params(workspace, seed=1, validation={**VALIDATION, **validation})
    ran: list[str] = run_release("validation", sources=sources or {}).value["ran"]
    return ran


def splits(workspace: Workspace) -> dict[str, str]:
    """Where each photo is, by validation's manifests."""
    folders = [workspace.stage("validation") / "photos" / split for split in SPLITS]
    return {name: folder.name for folder in folders for name in manifest.read(folder)["sample_id"].to_pylist()}


def add_photos(sources: dict[str, str], num: int, *, seed: int) -> None:
    """Photos of other scenes: patches of colour, no two alike."""
    rng = np.random.default_rng(seed)
    for number in range(num):
        image = Image.fromarray(rng.integers(0, 255, (6, 6, 3)).astype(np.uint8)).resize((48, 48))
        image.save(Path(str(sources["photos"])) / "can" / f"new {seed} {number}.jpg", quality=92)


def test_the_memory_is_kept_and_a_second_run_has_nothing_to_do(release: Release) -> None:
    workspace, sources = release
    assert validate(workspace, sources) == ["validation"]
    placed = splits(workspace)
    assert len(placed) == 180 and set(placed.values()) == {"train", "search", "certify"}
    memory = read_placement(workspace.placement)
    assert {name: photo.split for name, photo in memory.photos.items()} == placed and memory.split_seed == 0
    assert all(photo.shows for photo in memory.photos.values())
    assert validate(workspace, sources) == [] and (workspace.data / "placement.dvc").is_file()


def test_seeds_and_shares_move_nothing(release: Release) -> None:
    workspace, _ = release
    before = splits(workspace)
    assert validate(workspace, **OTHER) == ["validation"]
    assert splits(workspace) == before
    assert read_placement(workspace.placement).split_seed == 5


def test_by_hand_with_another_seed_it_is_the_same(release: Release) -> None:
    workspace, _ = release
    before = splits(workspace)
    write_params(workspace, validation={**VALIDATION, "split_seed": 9})
    run_stage("validation", workspace)
    assert splits(workspace) == before


def test_near_duplicates_of_old_photos_move_none_into_certify(release: Release) -> None:
    workspace, sources = release
    before = splits(workspace)
    folder = Path(str(sources["photos"])) / "ball"
    for number in range(30):
        Image.open(folder / f"{number}.jpg").save(folder / f"copy {number}.jpg", quality=60)
    validate(workspace, sources, **OTHER)
    after = splits(workspace)
    assert len(after) == len(before) + 30
    moved = {(split, after[name]) for name, split in before.items() if after[name] != split}
    assert moved <= {("certify", "train"), ("certify", "search"), ("search", "train")}, "only towards what is seen"
    by_group: dict[str, set[str]] = {}
    for photo in read_placement(workspace.placement).photos.values():
        by_group.setdefault(photo.group, set()).add(photo.split)
    assert all(len(found) == 1 for found in by_group.values())


def test_a_workspace_from_before_the_memory_keeps_its_split(release: Release) -> None:
    workspace, sources = release
    before = splits(workspace)
    shutil.rmtree(workspace.placement)
    (workspace.data / "placement.dvc").unlink()
    (workspace.stage("validation") / MEMBERS).unlink()
    shutil.rmtree(workspace.stage("validation") / "photos" / "reserve")
    validate(workspace, sources, split_seed=77)
    assert splits(workspace) == before


def test_a_memory_that_is_gone_is_brought_back_and_never_taken_for_empty(release: Release) -> None:
    workspace, sources = release
    before = splits(workspace)
    for folder in (workspace.placement, workspace.stage("validation")):
        shutil.rmtree(folder)
    validate(workspace, sources, split_seed=78)
    assert splits(workspace) == before
    shutil.rmtree(workspace.placement)
    cache = workspace.root / ".dvc" / "cache"
    cache.rename(cache.with_name("elsewhere"))
    with pytest.raises(StateError, match=r"data/placement is on record and not here: `dvc pull data/placement`"):
        current_placement(workspace, Graph(workspace.root))
    cache.with_name("elsewhere").rename(cache)
    assert set(current_placement(workspace, Graph(workspace.root)).photos) == set(before)


def test_a_refresh_with_too_few_photos_says_how_many_more_and_changes_nothing(release: Release) -> None:
    workspace, sources = release
    add_photos(sources, 8, seed=1)
    needed = fresh_split_size(load_params(workspace))
    before = read_placement(workspace.placement), manifest.count(workspace.source("photos"))
    with pytest.raises(StateError, match=rf"8 photos .* no split .*needs {needed}, so label {needed - 8} more"):
        refresh_split(reason="used up", photos=sources["photos"])
    assert (read_placement(workspace.placement), manifest.count(workspace.source("photos"))) == before
    with pytest.raises(ConfigError, match="--reason"):
        refresh_split(reason=" ", needed=1)


DIE = """
import os, signal, sys
import flows.placement, flows.commands.refresh
from flows.graph import Graph
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
{patch} = die
flows.commands.refresh.refresh_split(reason="used up", photos=sys.argv[1], needed=8)
"""


def kill_refresh(patch: str, photos: str | None) -> None:
    command = [sys.executable, "-c", DIE.format(patch=patch), str(photos)]
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == -signal.SIGKILL


def test_killed_at_either_step_the_refresh_is_finished_by_the_next_and_done_once(release: Release) -> None:
    workspace, sources = release
    before = read_placement(workspace.placement)
    old = before.members("certify")
    kill_refresh("flows.placement.record_retirement", sources["photos"])
    assert read_placement(workspace.placement) == before
    kill_refresh("Graph.track", sources["photos"])
    assert len(read_placement(workspace.placement).members("certify")) == 8
    answer = refresh_split(reason="again", needed=10_000)
    assert (answer.value["num_certify"], answer.value["num_retired"]) == (8, len(old))
    assert answer.value["reason"] == "used up"
    memory = read_placement(workspace.placement)
    assert len(memory.members("certify")) == 8 and set(old) <= set(memory.members("train"))
    assert not (workspace.data / ".refresh").exists()
    with pytest.raises(StateError, match="0 photos have been in no split"):
        refresh_split(reason="again", needed=1)


def test_the_next_run_deals_by_the_refresh(release: Release) -> None:
    workspace, _ = release
    before = splits(workspace)
    assert validate(workspace, **OTHER) == ["validation"]
    after = splits(workspace)
    assert {name for name, split in after.items() if split == "certify"} == set(after) - set(before)
    assert {name for name, split in before.items() if split == "certify"} <= {
        name for name, split in after.items() if split == "train"
    }
    assert validate(workspace, **OTHER) == []


def test_a_run_finishes_an_interrupted_refresh(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, sources = release
    add_photos(sources, 8, seed=3)
    old = read_placement(workspace.placement).members("certify")
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("flows.placement.record_retirement", lambda *_: 1 // 0)
        refresh_split(reason="used up", photos=sources["photos"], needed=8)
    validate(workspace, **OTHER)
    placed = splits(workspace)
    assert len([name for name, split in placed.items() if split == "certify"]) == 8
    assert {placed[name] for name in old} == {"train"}


def test_after_an_open_look_releases_go_on_and_wait_for_a_refresh(release: Release) -> None:
    """`replay --burned` takes what was shown out of certify; every candidate is then on hold, and none has leaked."""
    workspace, _ = release
    policy = {"limit": 0.3, "bootstrap_accuracy": 0.99, "slices": {"columns": []}}
    tiny = {"plain": {**PARAMS["training"]["candidates"]["plain"], "epochs": 1}}
    write_params(workspace, validation={**VALIDATION, **OTHER}, candidates=tiny, selection={"policy": policy})
    certify = set(read_placement(workspace.placement).members("certify"))
    shown = Decision(
        outcome="HOLD",
        candidate="plain",
        mode="open",
        certified=False,
        reasons=("tried",),
        shown_split="certify",
        burned_ids=tuple(sorted(certify)),
    )
    workspace.stage("selection").mkdir()
    (workspace.stage("selection") / "plain.decision.json").write_text(shown.to_json())
    pin_burned(reason="looked at it")
    assert set(read_placement(workspace.placement).members("replay")) == certify
    answer = run_release("release", sources={})
    assert answer.exit_code == 3 and answer.value["decisions"] == {"plain": "HOLD"}
    assert not certify & set(splits(workspace))
    assert manifest.count(workspace.replay) == len(certify)

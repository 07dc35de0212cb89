"""A workspace of an earlier version is brought along: it says what it said before, and a release goes on in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from components.core import manifest
from components.core.decisions import Budget
from components.core.errors import StateError
from components.core.settings import Settings
from components.core.workspace import Workspace
from flows.budget import budget_of
from flows.commands.decide import show_history, verify_journal
from flows.commands.init import BEFORE, upgrade_workspace
from flows.commands.run import run_release
from flows.commands.status import read_status
from flows.office import Office
from tests.contracts.small_release import FIRST
from tests.contracts.stored_workspace import unpack

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
SPLITS = ("train", "search", "certify")


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """The stored workspace, in a place that the tests of this module share; they run in order."""
    folder = unpack(tmp_path_factory.mktemp("stored"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DETENT_HOME", str(folder / "home"))
        patch.setenv("DETENT_WORKSPACE", str(folder / "workspace"))
        patch.setenv("DETENT_WORKERS", "1")
        patch.setenv("DETENT_RENDER_BACKEND", "scalar")
        yield Workspace.from_settings(Settings())


def splits(workspace: Workspace) -> dict[str, list[str]]:
    folders = {split: workspace.stage("validation") / "photos" / split for split in SPLITS}
    return {split: sorted(manifest.read(folder)["sample_id"].to_pylist()) for split, folder in folders.items()}


def account() -> Budget:
    office = Office.open()
    budget = budget_of(office.workspace, office.params)
    assert budget is not None
    return budget


def told() -> dict[str, Any]:
    """What a person is told of the workspace: all but what a run would do, which the upgrade is about."""
    status = {name: value for name, value in read_status().value.items() if name != "would_run"}
    return {"status": status, "history": show_history().value, "verify": verify_journal().value, "budget": account()}


def test_a_run_names_upgrade_in_one_line_and_does_nothing(release: Workspace) -> None:
    before = sorted((path, path.stat().st_mtime_ns) for path in release.data.rglob("*") if path.is_file())
    for dry_run in (True, False):
        with pytest.raises(StateError, match=r"dvc\.yaml is of an earlier version \(.*\): `detent upgrade` rewrites"):
            run_release("release", dry_run=dry_run)
    assert any("`detent upgrade`, then" in line for line in read_status().lines)
    after = sorted((path, path.stat().st_mtime_ns) for path in release.data.rglob("*") if path.is_file())
    assert [item for item in after if item[0].name != ".release.lock"] == before


def test_upgraded_it_says_what_it_said_and_what_will_run(release: Workspace) -> None:
    before, graph = told(), (release.root / "dvc.yaml").read_text()
    answer = upgrade_workspace()
    assert answer.value["pipeline"] and (release.root / BEFORE).read_text() == graph
    assert answer.value["would_run"] == ["validation", "synthesis", "training", "selection", "packaging"]
    assert told() == before
    assert upgrade_workspace().lines == ["all is of this version; nothing was changed"]


def test_a_release_goes_on_with_the_same_splits_and_the_same_account(release: Workspace) -> None:
    """Another candidate, under a policy that asks about it: the third look at the split, held against version 1."""
    before, placed = account(), splits(release)
    params = yaml.safe_load(release.params.read_text())
    params["synthesis"]["num_per_class"] = 2
    params["training"] |= {"family": None, "reseed": False, "candidates": {"another": {**FIRST["plain"], "epochs": 3}}}
    params["selection"]["policy"] |= {"limit": 0.95, "improvement": {"rule": "none"}, "slices": {"columns": []}}
    release.params.write_text(yaml.safe_dump(params))
    answer = run_release("selection")
    assert answer.value["ran"] == ["selection", "synthesis", "training", "validation"]
    assert splits(release) == placed
    now = account()
    assert (len(before.looks), len(now.looks)) == (2, 3) and now.looks[:2] == before.looks
    assert 0.0 < now.next_level < before.next_level
    assert verify_journal().value["ok"]
    assert read_status().value["version"] == "1"

"""What the next look is worth, when a split is worn, and whether the witness of all looks is safe in git."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from components.core.settings import Settings
from components.core.workspace import Workspace
from components.selection.ledger.ledger import Question
from components.selection.ledger.members import SplitMembers
from components.workloads.rails.looks import open_ledger
from components.workloads.rails.params import Params
from flows.budget import anchor_warning, budget_of, fresh_split_size, is_worn, tell_price
from tests.flows.drawn import lay_out_splits

PARAMS = Params.model_validate({"selection": {"policy": {"limit": 0.2, "improvement": {"margin": 0.2}}}})


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("DETENT_HOME", str(tmp_path / "home"))
    made = Workspace.from_settings(Settings())
    lay_out_splits(made)
    return made


def look(workspace: Workspace, name: str, *, promoted: bool) -> None:
    from components.core import manifest

    certify = workspace.stage("validation") / "photos" / "certify"
    ids = manifest.read(certify, ["sample_id"])["sample_id"].to_pylist()
    question = Question(key=name, candidate=name, champion="old", mode="sealed")
    with open_ledger(workspace, PARAMS) as ledger:
        ledger.ask(question, SplitMembers.of(ids), PARAMS.selection.policy.spending, lambda level: promoted)


def test_a_split_wears_out_and_says_so(workspace: Workspace) -> None:
    budget, spending = budget_of(workspace, PARAMS), PARAMS.selection.policy.spending
    assert budget is not None
    assert (len(budget.looks), budget.next_level, is_worn(budget, PARAMS)) == (
        0,
        pytest.approx(spending.alpha * spending.first),
        False,
    )
    assert fresh_split_size(PARAMS) <= budget.num_certify
    for number in range(12):
        look(workspace, f"m{number}", promoted=True)
    worn = budget_of(workspace, PARAMS)
    assert worn is not None and is_worn(worn, PARAMS)
    assert worn.next_flips < budget.next_flips
    assert "every look makes the later ones dearer" in tell_price(worn)
    for number in range(12, 21):
        look(workspace, f"m{number}", promoted=False)
    spent = budget_of(workspace, PARAMS)
    assert spent is not None and spent.next_level == 0.0
    assert "`detent refresh` deals a fresh split" in tell_price(spent)


def test_without_certify_photos_there_is_no_price(workspace: Workspace) -> None:
    shutil.rmtree(workspace.stage("validation"))
    assert budget_of(workspace, PARAMS) is None
    assert tell_price(None) == "there is no certify split to look at"


def test_the_witness_is_asked_for_until_git_holds_it_as_it_is(workspace: Workspace) -> None:
    assert anchor_warning(workspace) is None, "no look was taken"
    look(workspace, "a", promoted=False)
    assert "no git repository" in str(anchor_warning(workspace))
    for command in (["init", "-q"], ["config", "user.email", "a@b"], ["config", "user.name", "a"]):
        subprocess.run(["git", *command], cwd=workspace.root, check=True)
    assert "is not committed" in str(anchor_warning(workspace))
    for command in (["add", "-f", "data/certify.ledger.json"], ["commit", "-qm", "looks"]):
        subprocess.run(["git", *command], cwd=workspace.root, check=True)
    assert anchor_warning(workspace) is None
    look(workspace, "b", promoted=False)
    assert "is not committed" in str(anchor_warning(workspace)), "an older head is no witness of the last look"

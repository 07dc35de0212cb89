"""A ledger that was a file of its own is taken over whole, by each catalogue once; memberships are read back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.core.errors import IntegrityError
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger.ledger import Question
from components.workloads.rails.looks import MEMBERS, open_ledger, read_membership
from components.workloads.rails.params import Params

STORED = Path(__file__).parent / "stored"  # a ledger and its anchor, written when it was a file of its own
OLD_IDS = [f"s{index}" for index in range(60)]
PARAMS = Params(catalog="main")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("DETENT_HOME", str(tmp_path / "home"))
    made = Workspace.from_settings(Settings())
    made.data.mkdir(parents=True)
    made.home.mkdir()
    shutil.copyfile(STORED / "ledger.jsonl", made.ledger)
    shutil.copyfile(STORED / "certify.ledger.json", made.ledger_anchor)
    return made


def question(name: str) -> Question:
    return Question(key=f"new key {name}", candidate=name, champion="0" * 64, mode="sealed", content="c")


def test_no_row_is_lost_and_the_budget_goes_on_where_it_was(workspace: Workspace) -> None:
    rows = workspace.ledger.read_text().splitlines()
    with open_ledger(workspace, PARAMS) as ledger:
        assert len(ledger.store.read()) == len(rows)
        standing = ledger.standing(OLD_IDS, SpendingPolicy())
        assert [(look.number, look.promoted) for look in standing.looks] == [(1, True), (2, False), (3, True)]
        answer = ledger.ask(question("e"), OLD_IDS, SpendingPolicy(), lambda level: False)
        assert not isinstance(answer, str)
        # the former plan goes on: look 4 after two promotions
        assert answer.look.level == pytest.approx(0.05 * 0.04 / 8 / 3)
        ledger.check()
    with open_ledger(workspace, PARAMS) as ledger:
        other = [f"t{index}" for index in range(30)]
        assert len(ledger.standing(other, SpendingPolicy()).looks) == 1, "an earlier split is not locked out"
    assert workspace.ledger.read_text().splitlines() == rows, "the file stays as it was"


def test_another_catalogue_gets_no_fresh_budget_by_it(workspace: Workspace) -> None:
    with open_ledger(workspace, PARAMS):
        pass
    with open_ledger(workspace, Params(catalog="other")) as ledger:
        assert len(ledger.standing(OLD_IDS, SpendingPolicy()).looks) == 3


def test_a_clone_that_brought_the_anchor_alone_is_refused(workspace: Workspace) -> None:
    workspace.ledger.unlink()
    with (
        pytest.raises(IntegrityError, match=r"rows of a ledger that was a file.*not a fresh budget"),
        open_ledger(workspace, PARAMS),
    ):
        pass


def test_a_cut_file_is_refused_and_nothing_is_taken_over(workspace: Workspace) -> None:
    lines = workspace.ledger.read_text().splitlines()
    workspace.ledger.write_text("\n".join(lines[:3]) + "\n")
    with pytest.raises(IntegrityError, match="knows of"), open_ledger(workspace, PARAMS):
        pass
    workspace.ledger.write_text("\n".join(lines) + "\n")
    with open_ledger(workspace, PARAMS) as ledger:
        assert len(ledger.store.read()) == len(lines)


def test_membership_tells_what_certify_shows_and_who_is_exposed(workspace: Workspace) -> None:
    assert read_membership(workspace).exposed is None, "an earlier validation did not say"
    folder = workspace.stage("validation")
    folder.mkdir(parents=True)
    shows = [bytes([number]) * 32 for number in range(4)]
    splits = ["train", "search", "certify", "reserve"]
    table = {"sample_id": list("abcd"), "group": list("abcd"), "split": splits, "shows": shows}
    pq.write_table(pa.table(table), folder / MEMBERS)
    found = read_membership(workspace)
    assert dict(found.shows) == {"c": shows[2]}
    assert found.exposed is not None and len(found.exposed) == len(found.exposed.shows) == 2

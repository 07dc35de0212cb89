"""What an earlier Detent left behind, a workspace, journal, ledger and MLflow store, opens with nothing lost."""

from pathlib import Path

import pytest

from components.core.settings import Settings
from components.core.workspace import Workspace
from components.models.identity import model_digest
from components.packaging.building import find_bento
from components.tracking.registry import champion_alias, fetch_model
from components.tracking.runs import Tracker
from components.workloads.rails.records import read_decisions
from flows.commands.decide import show_history, verify_journal
from flows.commands.status import read_status
from flows.office import Office
from tests.contracts.stored_workspace import unpack

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
MODEL = "products-small"
KINDS = ["proposed", "approved", "promoted", "proposed"]


@pytest.fixture
def stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The stored workspace in a place of its own, as the one that the environment names."""
    unpack(tmp_path)
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    return Workspace.from_settings(Settings())


def test_the_journal_tells_its_champion_its_looks_and_what_waits(stored: Workspace) -> None:
    champion = Office.open().champion()
    assert champion is not None and champion.version == "1"
    assert champion.model == model_digest(stored.baseline / "model")
    assert [row["kind"] for row in show_history().value["rows"]] == KINDS
    assert verify_journal().value["ok"]
    status = read_status().value
    assert (status["looks"], [proposal["state"] for proposal in status["proposals"]]) == (2, ["open"])
    assert status["next_level"] == pytest.approx(0.002938, abs=1e-6)


def test_the_decisions_are_read(stored: Workspace) -> None:
    outcomes = {name: decision.outcome for name, decision in read_decisions(stored).items()}
    assert outcomes == {"longer": "HOLD", "contained": "HOLD", "taught": "HOLD", "family-1": "PROMOTE"}


def test_the_champion_comes_from_the_registry_and_from_the_bento(stored: Workspace, tmp_path: Path) -> None:
    champion = Office.open().champion()
    assert champion is not None
    tracker = Tracker.open(Settings().mlflow_address, home=stored.home)
    shown = champion_alias(tracker, MODEL)
    assert shown is not None and shown[0] == champion.model
    fetch_model(tracker, MODEL, champion.model, out=tmp_path / "fetched")
    assert model_digest(tmp_path / "fetched") == champion.model
    shipped = find_bento(stored.bentos, champion.bento)
    assert [model_digest(card.parent) for card in shipped.rglob("model.json")] == [champion.model]

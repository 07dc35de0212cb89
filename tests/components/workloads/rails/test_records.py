"""A winner is believed only with the Decision that let it through, and only where that is about what lies here."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from components.core.decisions import WINNER, Decision
from components.core.errors import IntegrityError
from components.core.files import write_json, write_text
from components.core.manifest import ManifestWriter
from components.core.workspace import Workspace
from components.models.identity import CARD, WEIGHTS, model_digest
from components.selection.stage import winner_json
from components.workloads.rails.records import (
    champion_folder,
    check_winner,
    evaluation_digest,
    read_target_winners,
    read_winner,
)

POLICY = "f" * 64


def lay_model(folder: Path, content: str) -> str:
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_text(content)
    (folder / CARD).write_text("{}")
    return model_digest(folder)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A finished selection: `good` was let through, `bad` was refused, `old` is the pinned champion."""
    workspace = Workspace(root=tmp_path, home=tmp_path / "home")
    for split in ("search", "certify"):
        with ManifestWriter(workspace.stage("validation") / "photos" / split):
            pass
    champion = lay_model(workspace.baseline / "model", "old")
    write_json(workspace.baseline / "baseline.json", {"model": champion, "anchor_version": None})
    decisions = {}
    for name, outcome in (("good", "PROMOTE"), ("bad", "REJECT")):
        digests = {
            "candidate": lay_model(workspace.stage("training") / name / "model", name),
            "champion": champion,
            "dataset": evaluation_digest(workspace),
            "policy": POLICY,
        }
        decisions[name] = Decision(
            outcome=outcome, candidate=name, mode="sealed", certified=outcome == "PROMOTE" or None, reasons=("so",),
            shown_split="search", digests=digests,
        )  # fmt: skip
        write_text(workspace.stage("selection") / f"{name}.decision.json", decisions[name].to_json())
    write_json(workspace.stage("selection") / WINNER, winner_json("good", decisions))
    return workspace


def name_winner(workspace: Workspace, candidate: object, decision: str | None = None) -> None:
    write_json(workspace.stage("selection") / WINNER, {"candidate": candidate, "decision": decision})


def test_the_winner_comes_with_its_decision(workspace: Workspace) -> None:
    winner = read_winner(workspace)
    assert winner is not None and (winner.candidate, winner.decision.outcome) == ("good", "PROMOTE")
    assert winner.digest == winner.decision.digest
    check_winner(winner, workspace, policy=POLICY)


def test_no_winner_is_none(workspace: Workspace) -> None:
    write_json(workspace.stage("selection") / WINNER, winner_json(None, {}))
    assert read_winner(workspace) is None
    (workspace.stage("selection") / WINNER).unlink()
    assert read_winner(workspace) is None


def test_a_bare_name_of_an_earlier_version_is_read_and_checked_all_the_same(workspace: Workspace) -> None:
    write_json(workspace.stage("selection") / WINNER, {"candidate": "good"})
    winner = read_winner(workspace)
    assert winner is not None and winner.decision.outcome == "PROMOTE"
    write_json(workspace.stage("selection") / WINNER, {"candidate": "bad"})
    with pytest.raises(IntegrityError, match=r"names bad as winner, the gate said REJECT of bad.*`detent run`"):
        read_winner(workspace)


def test_a_winner_without_a_decision_is_refused(workspace: Workspace) -> None:
    for name, message in (
        ("unheard", "unheard.decision.json is missing"),
        ("../training/good", "is no candidate's name"),
        (7, "names 7 as winner"),
    ):
        name_winner(workspace, name)
        with pytest.raises(IntegrityError, match=message):
            read_winner(workspace)


def test_a_refusal_edited_into_a_promotion_is_refused(workspace: Workspace) -> None:
    path = workspace.stage("selection") / "bad.decision.json"
    refused = Decision.from_json(path.read_text())
    name_winner(workspace, "bad", refused.digest)
    write_text(path, replace(refused, outcome="PROMOTE", certified=True).to_json())
    with pytest.raises(IntegrityError, match=r"bad\.decision\.json has digest .*one of them was altered"):
        read_winner(workspace)


def test_anothers_decision_under_the_winners_name_is_refused(workspace: Workspace) -> None:
    folder = workspace.stage("selection")
    shutil.copy(folder / "good.decision.json", folder / "bad.decision.json")
    name_winner(workspace, "bad")
    with pytest.raises(IntegrityError, match="said PROMOTE of good"):
        read_winner(workspace)


def test_a_damaged_decision_is_refused(workspace: Workspace) -> None:
    (workspace.stage("selection") / "good.decision.json").write_bytes(b"\xff{")
    name_winner(workspace, "good")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_winner(workspace)


def test_a_decision_about_another_model_binds_nothing(workspace: Workspace) -> None:
    winner = read_winner(workspace)
    assert winner is not None
    (winner.model(workspace) / CARD).write_text("{} ")
    with pytest.raises(IntegrityError, match=r"the decision on good is about candidate .*nothing was proposed"):
        check_winner(winner, workspace, policy=POLICY)


def test_a_decision_about_another_champion_binds_nothing(workspace: Workspace) -> None:
    winner = read_winner(workspace)
    assert winner is not None
    (workspace.baseline / "model" / CARD).write_text("{} ")
    with pytest.raises(IntegrityError, match=r"holds model .*, baseline\.json pins .*nothing was proposed"):
        check_winner(winner, workspace, policy=POLICY)
    pinned = {"model": model_digest(workspace.baseline / "model"), "anchor_version": None}
    write_json(workspace.baseline / "baseline.json", pinned)
    with pytest.raises(IntegrityError, match=r"is about champion .*nothing was proposed"):
        check_winner(winner, workspace, policy=POLICY)


def test_a_target_is_decided_on_against_its_own_champion(workspace: Workspace) -> None:
    """targets.json names the Decision; one against the main champion binds nothing for the target."""
    folder = workspace.stage("selection")
    said = Decision.from_json((folder / "good.decision.json").read_text())
    own = lay_model(workspace.baseline / "targets" / "phone" / "model", "own")
    pinned = {"model": said.digests["champion"], "anchor_version": None, "targets": {"phone": own}}
    write_json(workspace.baseline / "baseline.json", pinned)
    held = replace(said, digests=said.digests | {"champion": own})
    write_text(folder / "good@phone.decision.json", held.to_json())
    for stem, decision, fits in (("good@phone", held, True), ("good", said, False)):
        told = {"candidate": "good", "decision": {"name": stem, "digest": decision.digest}}
        write_json(folder / "targets.json", {"phone": told, "watch": {"candidate": None, "decision": None}})
        winners = read_target_winners(workspace)
        assert winners.keys() == {"phone"} and winners["phone"].target == "phone"
        if fits:
            check_winner(winners["phone"], workspace, policy=POLICY)
            continue
        with pytest.raises(IntegrityError, match="the decision on good is about champion"):
            check_winner(winners["phone"], workspace, policy=POLICY)


def test_targets_of_an_earlier_version_named_no_decision(workspace: Workspace) -> None:
    write_json(workspace.stage("selection") / "targets.json", {"phone": {"candidate": "good", "digest": "0" * 64}})
    assert read_target_winners(workspace) == {}


def test_a_decision_about_other_photos_or_another_policy_binds_nothing(workspace: Workspace) -> None:
    winner = read_winner(workspace)
    assert winner is not None
    with pytest.raises(IntegrityError, match="is about policy ffffffffffff, and here is 000000000000"):
        check_winner(winner, workspace, policy="0" * 64)
    shutil.rmtree(workspace.stage("validation") / "photos" / "certify")
    with pytest.raises(IntegrityError, match="is about dataset"):
        check_winner(winner, workspace, policy=POLICY)


def test_before_the_first_release_an_incumbent_is_what_decisions_are_about(workspace: Workspace) -> None:
    winner = read_winner(workspace)
    assert winner is not None
    (workspace.baseline / "model").rename(workspace.baseline / "incumbent")
    write_json(workspace.baseline / "baseline.json", {"model": None, "anchor_version": None})
    check_winner(winner, workspace, policy=POLICY)
    shutil.rmtree(workspace.baseline / "incumbent")
    assert champion_folder(workspace) is None
    with pytest.raises(IntegrityError, match=r"about champion .*, and here is none"):
        check_winner(winner, workspace, policy=POLICY)

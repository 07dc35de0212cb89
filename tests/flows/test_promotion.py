"""The verbs end to end on a drawn release: wait, refuse, approve, promote, verify, roll back; told in order."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.core.champions import ChampionKey
from components.core.errors import IntegrityError, RefusedError, StateError
from components.core.workspace import Workspace
from components.packaging.projection import BentoTag
from components.promotion.policy import ApprovalPolicy
from components.promotion.rows import Digests
from components.workloads.rails.code import release_code
from components.workloads.rails.records import Winner, read_decisions
from flows.commands.decide import approve_proposal, reconcile_stores, roll_back, show_history, verify_journal
from flows.commands.run import run_release
from flows.commands.status import read_status
from flows.mirrors import digests_of
from flows.office import Office
from flows.promotion import propose_winners
from tests.flows.drawn import PARAMS, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
Release = tuple[Workspace, dict[str, str]]
GOVERNED = {
    "approval": {"name": "two-eyes", "forbid_trainer": True},
    "people": {"named": {"rita": {"roles": ["release manager"]}, "amy": {"roles": ["auditor"]}}},
}
LENIENT = {"limit": 0.95, "improvement": {"rule": "none"}, "slices": {"columns": [], "limit": 0.95}}
BETTER = {"plain": {**PARAMS["training"]["candidates"]["plain"], "epochs": 9}}


def shown_version(workspace: Workspace) -> str | None:
    champion = Office.open().champion()
    pointer = BentoTag(workspace.bentos).read(ChampionKey("products", "drawn"))
    assert (champion is None) == (pointer is None)
    assert champion is None or (pointer and pointer.sequence == champion.sequence)
    return champion.version if champion else None


def test_a_release_ends_in_a_proposal_that_waits(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, sources = release
    monkeypatch.setenv("DETENT_ACTOR", "eve")
    write_params(workspace, **GOVERNED)
    answer = run_release("release", sources=sources)
    assert (answer.value["winner"], answer.value["promoted"]) == ("plain", False)
    assert [item["state"] for item in read_status().value["proposals"]] == ["open"]
    with pytest.raises(RefusedError, match="eve may not approve"):
        approve_proposal(1, reason="mine")
    assert shown_version(workspace) is None


@contextmanager
def planted(path: Path, content: bytes) -> Iterator[None]:
    """A file with other content, put back at the end."""
    kept = path.read_bytes() if path.is_file() else None
    path.write_bytes(content)
    try:
        yield
    finally:
        path.unlink() if kept is None else path.write_bytes(kept)


def test_what_the_gate_did_not_say_is_neither_proposed_nor_approved(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wrong files in the selection's folder, each under a policy that would approve without a person."""
    workspace, _ = release
    monkeypatch.setenv("DETENT_ACTOR", "rita")
    folder = workspace.stage("selection")
    said = read_decisions(workspace)["plain"]
    refused = replace(said, outcome="REJECT", certified=None)
    before = show_history().value["rows"]
    wrong = {
        "a bare name": [
            ("winner.json", b'{"candidate": "other"}'),
            ("other.decision.json", refused.to_json().encode()),
        ],
        "a refusal": [("plain.decision.json", refused.to_json().encode())],
        "a refusal, named": [
            ("plain.decision.json", refused.to_json().encode()),
            ("winner.json", json.dumps({"candidate": "plain", "decision": refused.digest}).encode()),
        ],
        "about another model": [
            ("plain.decision.json", replace(said, digests=said.digests | {"candidate": "0" * 64}).to_json().encode()),
            ("winner.json", b'{"candidate": "plain"}'),
        ],
        "about another policy": [
            ("plain.decision.json", replace(said, digests=said.digests | {"policy": "0" * 64}).to_json().encode()),
            ("winner.json", b'{"candidate": "plain"}'),
        ],
    }
    auto = Office.open()
    auto.params = auto.params.model_copy(update={"approval": ApprovalPolicy(auto=True)})
    for files in wrong.values():
        with ExitStack() as stack:
            for name, content in files:
                stack.enter_context(planted(folder / name, content))
            with pytest.raises(IntegrityError, match="nothing was proposed or promoted"):
                propose_winners.fn(auto)
            with pytest.raises(IntegrityError, match="nothing was proposed or promoted"):
                approve_proposal(1, reason="looks right")
    with (
        planted(
            workspace.stage("packaging") / "bento.json",
            b'{"tag": "detent:other", "digest": "", "path": "x", "model_digest": "00"}',
        ),
        pytest.raises(IntegrityError, match="packages anew"),
    ):
        propose_winners.fn(auto)
    assert show_history().value["rows"] == before and shown_version(workspace) is None


def test_the_proposal_is_bound_to_the_decision_and_the_code(release: Release) -> None:
    workspace, _ = release
    (row,) = show_history().value["rows"]
    digests = row["details"]["candidate"]["digests"]
    assert row["details"]["candidate"]["outcome"] == "PROMOTE"
    assert digests["decision"] == row["decision"] == read_decisions(workspace)["plain"].digest
    assert digests["code"] == release_code(Office.open().code) == read_decisions(workspace)["plain"].digests["code"]


def test_an_approval_starts_the_promotion(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, _ = release
    monkeypatch.setenv("DETENT_ACTOR", "rita")
    digested: list[str] = []

    def counted(winner: Winner, *arguments: Any, **named: Any) -> Digests:
        digested.append(winner.candidate)
        return digests_of(winner, *arguments, **named)

    monkeypatch.setattr("flows.winners.digests_of", counted)
    answer = approve_proposal(1, reason="looks right")
    assert digested == ["plain"], "what is approved and what is promoted is digested once"
    assert (answer.exit_code, {item["outcome"] for item in answer.value["projected"]}) == (0, {"written"})
    assert shown_version(workspace) == "1"
    assert verify_journal().value["ok"]
    assert [row["kind"] for row in show_history().value["rows"]] == ["proposed", "approved", "promoted"]


def test_reconcile_repairs_what_was_moved_by_hand(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, _ = release
    monkeypatch.setenv("DETENT_ACTOR", "rita")
    (workspace.bentos / "champions" / "products--drawn.json").write_text("{}")
    answer = reconcile_stores()
    outcomes = {item["name"]: item["outcome"] for item in answer.value["projected"]}
    assert (outcomes["bento"], outcomes["mlflow alias"]) == ("written", "current")
    assert answer.value["agrees"] and shown_version(workspace) == "1"


def test_rollback_brings_the_old_bento_back_verified(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace, _ = release
    monkeypatch.setenv("DETENT_ACTOR", "rita")
    with pytest.raises(StateError, match="cannot go back"):
        roll_back(reason="nowhere to go")
    auto = {**GOVERNED, "approval": {"name": "tests", "auto": True}}
    write_params(workspace, candidates=BETTER, selection={"policy": LENIENT}, **auto)
    answer = run_release("release", sources={})
    assert answer.value["promoted"]
    assert shown_version(workspace) == "2"
    back = roll_back(reason="boxes broke", samples=["a" * 32])
    assert (back.exit_code, back.value["champion"]["release"]["version"]) == (0, "1")
    assert "detent replay" in back.lines[1]
    assert shown_version(workspace) == "1"
    assert verify_journal().value["ok"]

"""Whose Decision counts for a target: against its own champion where it has one, else against the main one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from components.core.decisions import Counts, Decision, Outcome
from components.core.files import read_json
from components.selection import finalists
from components.selection.finalists import Served, ask_against_own, serve_targets, stem_of, title_of, told_of
from components.selection.gate.policy import Policy
from components.selection.search.targets import Target

PHONE = Target(name="phone", multiply_adds=100, flip_limit=0.1)
RECORD: dict[str, Any] = {
    "targets": {"phone": {"candidate": "small"}},
    "costs": {"small": {"multiply_adds": 50.0}, "large": {"multiply_adds": 90.0}, "huge": {"multiply_adds": 900.0}},
}
OWN = {"phone": "f" * 64}


def decision(name: str, outcome: Outcome = "PROMOTE", *, right: int = 80, flips: int = 5) -> Decision:
    counts = Counts(
        n=100, n_old_right=70, n_new_right=right, negative_flips=flips, positive_flips=9, old_abstained=0,
        new_abstained=0,
    )  # fmt: skip
    return Decision(
        outcome=outcome, candidate=name, mode="sealed", certified=outcome == "PROMOTE", reasons=("so it is",),
        shown_split="search", counts=counts, digests={"candidate": f"digest of {name}"},
    )  # fmt: skip


def serve(decisions: Mapping[str, Decision], *, own: Mapping[str, str]) -> Served:
    (served,) = serve_targets([PHONE], decisions, RECORD, own=own)
    return served


def test_without_a_champion_of_its_own_the_best_that_was_certified_serves() -> None:
    decisions = {"small": decision("small"), "large": decision("large", right=85), "huge": decision("huge", right=99)}
    served = serve(decisions, own={})
    assert (served.candidate, served.stem, served.digest) == ("large", "large", "digest of large")


def test_with_one_only_the_finalist_against_it_counts() -> None:
    """The better one was certified against the main champion, which the phone does not run."""
    decisions = {"small": decision("small"), "large": decision("large", right=85)}
    assert serve(decisions, own=OWN).candidate is None
    served = serve(decisions | {"small@phone": decision("small", right=75)}, own=OWN)
    assert (served.candidate, served.stem) == ("small", "small@phone")
    assert served.figures["search_accuracy"] == 0.75, "as the Decision that counts says"


def test_a_finalist_refused_against_the_targets_own_champion_leaves_it_there() -> None:
    decisions = {"small": decision("small"), "small@phone": decision("small", "REJECT")}
    served = serve(decisions, own=OWN)
    assert served.candidate is None
    assert served.reason == (
        "its finalist small is not certified: REJECT, so it is; it keeps its own champion ffffffffffff"
    )
    assert serve(decisions, own={}).candidate == "small"


def test_anothers_targets_decision_does_not_count() -> None:
    decisions = {"small": decision("small", "HOLD"), "small@watch": decision("small")}
    assert serve(decisions, own={}).candidate is None
    served = serve(decisions, own=OWN)
    assert served.reason == "its finalist small was not asked; it keeps its own champion ffffffffffff"


def test_a_certified_one_outside_the_limits_is_told_of() -> None:
    served = serve({"small@phone": decision("small", flips=20)}, own=OWN)
    assert served.candidate is None and "outside the target's limits; it keeps" in served.reason


def test_the_list_names_the_decision_that_certified(tmp_path: Path) -> None:
    found = decision("small")
    told_of([serve({"small@phone": found}, own=OWN), Served(target="watch", reason="nobody")], out=tmp_path)
    told = read_json(tmp_path / "targets.json")
    assert told["phone"]["decision"] == {"name": "small@phone", "digest": found.digest}
    assert (told["watch"]["candidate"], told["watch"]["decision"]) == (None, None)


class Asked:
    """Evidence that knows its candidate alone."""

    candidate = "small"


@pytest.mark.parametrize(("mode", "stems"), [("sealed", ["small@phone"]), ("open", [])])
def test_an_open_look_leaves_nothing_to_ask(monkeypatch: pytest.MonkeyPatch, mode: str, stems: list[str]) -> None:
    monkeypatch.setattr(finalists, "decide", lambda evidence, _policy, *, ledger: decision(evidence.candidate))
    asked = ask_against_own({"phone": Asked()}, Policy(mode=mode), ledger=None)  # type: ignore[arg-type, dict-item]
    assert [*asked] == stems


def test_a_decisions_name_is_one_that_mlflow_takes() -> None:
    assert title_of(stem_of("small", "phone")) == "small for phone" and title_of("small") == "small"

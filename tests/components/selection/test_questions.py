"""A recorded answer belongs to the data that was tested, and what was once learned from never certifies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from components.core.errors import DataError, LeakError, StateError
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.gate import decide
from components.selection.gate.policy import Policy
from components.selection.ledger.members import SplitMembers
from components.selection.report import report

POLICY = Policy(limit=0.05)


def case(make_evidence, make_pair, n: int = 1346, flips: int = 0, **columns: list[str]) -> Evidence:
    return make_evidence(make_pair(n, flips, slices=columns or None), make_pair(600, 1, prefix="t"))


def labels(n: int, *, changed: float = 0.0) -> list[str]:
    names = np.array([f"class {index % 10}" for index in range(n)])
    names[: int(changed * n)] = "class 99"
    return names.tolist()


def test_changed_labels_are_a_new_charged_look(make_evidence, make_pair, ledger) -> None:
    first = decide(case(make_evidence, make_pair, label=labels(1346)), POLICY, ledger=ledger)
    assert first.outcome == "PROMOTE"
    again = decide(case(make_evidence, make_pair, label=labels(1346)), POLICY, ledger=ledger)
    assert again.budget is not None and again.budget.recorded
    corrected = decide(
        case(make_evidence, make_pair, flips=200, label=labels(1346, changed=0.4)), POLICY, ledger=ledger
    )
    assert corrected.budget is not None
    assert (corrected.outcome, corrected.budget.recorded, len(corrected.budget.looks)) == ("HOLD", False, 2)
    assert corrected.change is not None and corrected.change.changed
    assert corrected.digests["certify"] != first.digests["certify"] == again.digests["certify"]
    assert "labels, slices or groups changed" in report.render(corrected)


def test_a_new_slice_and_new_groups_are_a_new_look(make_evidence, make_pair, ledger) -> None:
    decide(case(make_evidence, make_pair), POLICY, ledger=ledger)
    dark = ["dark"] * 200 + ["light"] * 1146
    sliced = decide(case(make_evidence, make_pair, flips=0, s_light=dark), POLICY, ledger=ledger)
    groups = [str(index // 2) for index in range(1346)]
    grouped = decide(case(make_evidence, make_pair, group=groups), POLICY, ledger=ledger)
    assert [decision.budget.recorded for decision in (sliced, grouped) if decision.budget] == [False, False]
    assert len(ledger.looks()) == 3


def test_removed_and_added_photos_stand_in_the_decision(make_evidence, make_pair, ledger) -> None:
    decide(case(make_evidence, make_pair, flips=120), POLICY, ledger=ledger)
    evidence = case(make_evidence, make_pair, flips=120)
    kept = pa.array([index >= 120 for index in range(1346)])
    fewer = replace(
        evidence, certify=Pair(old=evidence.certify.old.filter(kept), new=evidence.certify.new.filter(kept))
    )
    decision = decide(fewer, POLICY, ledger=ledger)
    assert decision.change is not None
    assert (decision.change.removed, decision.change.added) == (120, 0)
    assert "120 removed" in report.render(decision)


def test_what_stood_in_train_never_counts_in_certify_again(make_evidence, make_pair, ledger) -> None:
    ids = [f"s{index:05d}" for index in range(1346)]
    evidence = case(make_evidence, make_pair)
    decide(replace(evidence, exposed=SplitMembers.of(["x1", "x2", *ids[1000:]])), POLICY, ledger=ledger)
    decision = decide(evidence, POLICY, ledger=ledger)
    assert (decision.num_exposed, decision.budget and decision.budget.num_certify) == (346, 1000)
    assert "346 samples left out of certify" in report.render(decision)
    with pytest.raises(LeakError, match="every certify sample has stood in train or search"):
        decide(replace(evidence, exposed=SplitMembers.of(ids)), POLICY, ledger=ledger)


def test_a_picture_that_was_in_train_is_known_under_another_name(make_evidence, make_pair, ledger) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.bytes(32) for _ in range(1346)]
    shows = {f"s{index:05d}": picture for index, picture in enumerate(pictures)}
    trained = SplitMembers.of(["renamed"], {"renamed": bytes([pictures[7][0] ^ 1]) + pictures[7][1:]})
    decision = decide(replace(case(make_evidence, make_pair), shows=shows, exposed=trained), POLICY, ledger=ledger)
    assert decision.num_exposed == 1


def test_renamed_samples_go_on_with_their_account(make_evidence, make_pair, make_table, ledger) -> None:
    rng = np.random.default_rng(1)
    pictures = [rng.bytes(32) for _ in range(400)]

    def named(prefix: str) -> Evidence:
        shows = {f"{prefix}{index:05d}": picture for index, picture in enumerate(pictures)}
        return replace(make_evidence(make_pair(400, 0, prefix=prefix), make_pair(300, 0, prefix="t")), shows=shows)

    decide(named("s"), POLICY, ledger=ledger)
    renamed = decide(named("r"), POLICY, ledger=ledger)
    assert renamed.budget is not None and renamed.budget.look == 2
    unknown = decide(replace(named("q"), shows={}), POLICY, ledger=ledger)
    assert unknown.budget is not None and unknown.budget.look == 1, "ids alone tell nothing here"


def test_a_retired_split_certifies_nothing_any_more(make_evidence, make_pair, ledger) -> None:
    evidence = case(make_evidence, make_pair)
    decide(evidence, POLICY, ledger=ledger)
    ids = evidence.certify.new["sample_id"].to_pylist()
    assert ledger.retire(ids, reason="worn") and not ledger.retire(ids, reason="worn")
    with pytest.raises((LeakError, StateError)):
        decide(evidence, POLICY, ledger=ledger)
    fresh = make_evidence(make_pair(1346, 0, prefix="n"), make_pair(600, 1, prefix="t"))
    decision = decide(fresh, POLICY, ledger=ledger)
    assert decision.budget is not None and (decision.outcome, decision.budget.look) == ("PROMOTE", 1)


def test_equal_digests_cost_nothing(make_evidence, make_pair, ledger) -> None:
    same = [Pair(old=one.old, new=one.old) for one in (make_pair(2000, 0), make_pair(1000, 0, prefix="t"))]
    decision = decide(make_evidence(*same, candidate_digest="0" * 64), POLICY, ledger=ledger)
    assert (decision.certified, ledger.looks()) == (None, ())
    assert "no look was spent" in decision.reasons[0]


def test_marks_and_replay_are_told_with_what_they_hide(make_evidence, make_pair, make_table, ledger) -> None:
    search = make_pair(600, 120, 120, prefix="t")
    marked = frozenset(f"t{index:05d}" for index in range(120))
    replayed = Pair(
        old=make_table([1] * 10 + [0] * 40, prefix="r", model="0" * 64), new=make_table([1] * 10 + [0] * 40, prefix="r")
    )
    decision = decide(
        make_evidence(make_pair(1346, 0), search, wrong_labels=marked, replay=replayed), POLICY, ledger=ledger
    )
    assert any("120 samples left out" in reason and "120 are negative flips" in reason for reason in decision.reasons)
    check = next(check for check in decision.checks if check.name == "replay set")
    assert check.reason == "10 of which the champion has right"


def test_the_best_of_many_on_search_is_told_with_an_honest_bound(make_evidence, make_pair, ledger) -> None:
    evidence = make_evidence(make_pair(1346, 5), make_pair(600, 3, prefix="t"), num_tried=40)
    decision = decide(evidence, POLICY, ledger=ledger)
    (note,) = [note for note in decision.notes if "optimistic" in note]
    upper = next(check.upper for check in decision.checks if check.name == "negative flips")
    assert "40 candidates" in note
    assert float(note.rsplit(" ", 1)[1].rstrip("%")) / 100 > (upper or 1.0)


def test_severity_weights_without_predictions_are_refused(make_evidence, make_table, ledger) -> None:
    def table(verdict: list[int], model: str, prefix: str) -> pa.Table:
        made = make_table(verdict, model=model, prefix=prefix)
        return made.set_column(3, "prediction", pa.nulls(len(verdict), pa.string()))

    pairs = [
        Pair(old=table([1] * 400, "0" * 64, prefix), new=table([0] * 4 + [1] * 396, "a" * 64, prefix))
        for prefix in "st"
    ]
    policy = Policy(limit=0.05, severity={"weights": {"stop": 50.0}, "limit": 1.0})
    with pytest.raises(DataError, match="have no 'prediction'"):
        decide(make_evidence(*pairs), policy, ledger=ledger)


def test_levels_read_as_odds_and_the_next_look_says_what_it_allows(make_evidence, make_pair, ledger) -> None:
    for number in range(8):
        decision = decide(
            case(make_evidence, make_pair, flips=60 + number), Policy(limit=0.05 + number / 1000), ledger=ledger
        )
    text = report.render(decision) + " ".join(decision.reasons)
    assert "0.000%" not in text
    assert "1 in " in decision.reasons[0]
    assert decision.budget is not None and decision.budget.next_flips > 0
    assert f"allows {decision.budget.next_flips:,} negative flips of 1,346 samples" in text


def test_what_the_policy_asks_for_and_certify_lacks_costs_no_look(make_evidence, make_pair, make_table, ledger) -> None:
    """Without a search split nothing else would notice before the charge."""
    with pytest.raises(DataError, match="'s_light' is not in the verdict tables"):
        decide(make_evidence(make_pair(400, 0)), Policy(slices={"columns": ["s_light"]}), ledger=ledger)
    bare = [table.set_column(3, "prediction", pa.nulls(400, pa.string())) for table in (make_pair(400, 3).old,)]
    weighed = Policy(severity={"weights": {"x": 2.0}, "limit": 1.0})
    with pytest.raises(DataError, match="have no 'prediction'"):
        decide(make_evidence(Pair(old=bare[0], new=make_pair(400, 3).new)), weighed, ledger=ledger)
    assert ledger.looks() == ()

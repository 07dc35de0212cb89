"""The seal: a sealed decision shows search alone; and the parts of a decision that no statistic makes."""

from __future__ import annotations

import pytest

from components.selection.gate import assembly
from components.selection.gate.evidence import Case, open_case
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import Question

SEALED, OPEN = Policy(limit=0.1), Policy(limit=0.1, mode="open")
QUESTION = Question(key="k" * 64, candidate="a" * 64, champion="0" * 64, mode="open")


@pytest.fixture
def case(make_evidence, make_pair) -> Case:
    return open_case(make_evidence(make_pair(100, 3), make_pair(80, 2, prefix="t")), SEALED)


def test_certify_is_shown_after_an_open_look_and_never_else(case: Case) -> None:
    answer = assembly.single_look(QUESTION, OPEN, lambda _: True)
    assert assembly.shown_rows(case, SEALED, answer) is case.search
    assert assembly.shown_rows(case, OPEN, None) is case.search
    assert assembly.shown_rows(case, OPEN, answer) is case.certify


def test_a_look_without_a_ledger_spends_all_of_alpha(case: Case) -> None:
    asked: list[float] = []
    answer = assembly.single_look(QUESTION, OPEN, lambda level: asked.append(level) or False)
    assert asked == [OPEN.spending.alpha] == [answer.look.level]
    assert (answer.look.promoted, answer.recorded) == (False, False)


def test_photos_are_counted_by_the_share_that_certify_gets(make_evidence, make_pair) -> None:
    evidence = make_evidence(make_pair(100, 3), certify_share=0.2)
    assert assembly.photos_for(301, evidence) == 1505
    assert assembly.photos_for(None, evidence) is None
    assert assembly.photos_for(301, make_evidence(make_pair(100, 3))) is None


def test_one_incident_that_breaks_again_breaks_the_replay_set(make_evidence, make_pair) -> None:
    for flips, result in ((0, "holds"), (1, "broken")):
        evidence = make_evidence(make_pair(100, 3), replay=make_pair(20, flips, prefix="r"))
        (check,) = assembly.replay_checks(open_case(evidence, SEALED))
        assert (check.result, check.count, check.n, check.limit) == (result, flips, 20, 0.0)
        assert ("r00000" in check.reason) is bool(flips) and "18 of which" in check.reason
    assert assembly.replay_checks(open_case(make_evidence(make_pair(100, 3)), SEALED)) == ()


def test_a_limit_against_an_anchor_without_verdicts_is_a_check_that_is_missing(case: Case) -> None:
    from components.selection.gate.claims import Levels

    policy = Policy(limit=0.1, anchor_limit=0.05)
    check = assembly.anchor_check(None, policy, Levels(split="certify", hold=0.05, broken=0.05))
    assert (check.result, check.limit) == ("missing", 0.05)

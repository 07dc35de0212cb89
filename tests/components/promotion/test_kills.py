"""kill -9 at every durable step of every verb, each once; the benchmark does the same many times."""

from __future__ import annotations

import pytest

from tests.components.promotion.cast import Story
from tests.components.promotion.kills import VERBS, Verb, kill_once, list_steps


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_kill_at_any_step_loses_and_doubles_nothing(story: Story, verb: Verb) -> None:
    steps = list_steps(story, verb)
    assert len(steps) == len(set(steps))
    for number, step in enumerate(steps):
        assert kill_once(story, verb, step, catalog=f"{verb.name} {number}") == [], step


def test_there_are_enough_points(sqlite_story: Story) -> None:
    assert sum(len(list_steps(sqlite_story, verb)) for verb in VERBS) >= 20


def test_the_matrix_can_fail(sqlite_story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.components.promotion.kills.reconcile", lambda *_, **__: None)
    promote = next(verb for verb in VERBS if verb.name == "promote")
    problems = kill_once(sqlite_story, promote, "promote: after the commit", catalog="planted")
    assert any("bento shows" in problem for problem in problems)
    assert "the anchor is unsettled" in problems

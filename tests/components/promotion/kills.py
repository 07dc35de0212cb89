"""The kill matrix: a child process is killed at one durable step of a verb, then the next command is run.

Each run uses a catalogue of its own in one long-lived journal. After the kill and one `reconcile`, the verb has
happened entirely or not at all, and every mirror agrees; after the verb is repeated, it has happened once.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from components.promotion.audit import verify
from components.promotion.desk import Desk
from components.promotion.policy import ApprovalPolicy
from components.promotion.promotions import RollbackRequest, promote, rollback
from components.promotion.proposals import approve, propose
from components.promotion.reconciliation import reconcile
from components.promotion.rows import Row
from tests.components.promotion.cast import Story, ignore, kill_at, run_child

Act = Callable[[Desk], object]
SIGKILLED = -9


@dataclass(frozen=True, kw_only=True)
class Verb:
    """How a verb's stage is set, what it does, which row it must leave and who is champion then."""

    name: str
    prepare: Callable[[Story], Act]
    kind: str
    num_rows: int
    champion: str


def _prepare_propose(story: Story) -> Act:
    story.release("a")
    candidate = story.candidate("b", "a")
    return lambda desk: propose(desk, candidate, actor=story.eve, policy=ApprovalPolicy())


def _prepare_approve(story: Story) -> Act:
    story.release("a")
    number = story.propose("b", "a").number
    return lambda desk: approve(desk, number, actor=story.rita, reason="fine", current=story.digests("b"))


def _prepare_promote(story: Story) -> Act:
    story.release("a")
    number = story.propose_approved("b", "a").number
    return lambda desk: promote(desk, number, actor=story.eve, current=story.digests("b"))


def _prepare_rollback(story: Story) -> Act:
    story.release("a")
    left = story.release("b", "a").champion.sequence
    request = RollbackRequest(workload="products", catalog=story.catalog, reason="broke", expected=left)
    return lambda desk: rollback(desk, request, actor=story.rita, reverify=ignore)


VERBS = (
    Verb(name="propose", prepare=_prepare_propose, kind="proposed", num_rows=2, champion="a"),
    Verb(name="approve", prepare=_prepare_approve, kind="approved", num_rows=2, champion="a"),
    Verb(name="promote", prepare=_prepare_promote, kind="promoted", num_rows=2, champion="b"),
    Verb(name="rollback", prepare=_prepare_rollback, kind="rolled_back", num_rows=1, champion="a"),
)


def list_steps(story: Story, verb: Verb) -> list[str]:
    """The names of the durable steps that a verb passes, from one undisturbed run."""
    steps: list[str] = []
    story = replace(story, catalog=f"steps of {verb.name}")
    act = verb.prepare(story)
    desk = story.reopen(steps.append)
    act(desk)
    desk.journal.close()
    return steps


def kill_once(story: Story, verb: Verb, step: str, *, catalog: str) -> list[str]:
    """Kill one child at one step and recover; what is wrong afterwards, empty when nothing is."""
    story = replace(story, catalog=catalog)
    act = verb.prepare(story)
    before = rows_of(story)
    story.journal.close()  # no open connection may cross a fork
    status = run_child(partial(_act_and_die, story, act, step))
    if status != SIGKILLED:
        return [f"the child was not killed at {step!r}: it exited with {status}"]
    return recover(story, verb, act, before)


def kill_at_random(story: Story, verb: Verb, delay_s: float, *, catalog: str) -> list[str]:
    """Kill one child after a while, wherever it then is, and recover; what is wrong afterwards."""
    story = replace(story, catalog=catalog)
    act = verb.prepare(story)
    before = rows_of(story)
    story.journal.close()
    child = os.fork()
    if child == 0:
        act(story.reopen())
        os._exit(0)
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return recover(story, verb, act, before)


def recover(story: Story, verb: Verb, act: Act, before: list[Row]) -> list[str]:
    """Reconcile, look, repeat the verb, look again."""
    desk = story.reopen()
    try:
        reconcile(desk, actor=story.eve)
        after_kill = rows_of(story)
        problems = [] if len(after_kill) in (len(before), len(before) + 1) else ["half-done or doubled rows"]
        problems += ["lost rows"] if after_kill[: len(before)] != before else []
        problems += _disagreements(story, desk)
        act(desk)
        rows = rows_of(story)
        problems += [] if len(rows) == len(before) + 1 else ["lost or doubled after the verb was repeated"]
        problems += [] if sum(row.kind == verb.kind for row in rows) == verb.num_rows else [f"not one {verb.kind} row"]
        champion = story.champion()
        problems += [] if champion and champion.version == verb.champion else [f"champion is {champion}"]
        return problems + _disagreements(story, desk)
    finally:
        desk.journal.close()


def rows_of(story: Story) -> list[Row]:
    """The rows of the story's catalogue."""
    with story.journal.reading() as ledger:
        return [row for row in ledger.rows() if row.catalog == story.catalog]


def _act_and_die(story: Story, act: Act, step: str) -> None:
    act(story.reopen(kill_at(step)))


def _disagreements(story: Story, desk: Desk) -> list[str]:
    champion = story.champion()
    wanted = (champion.model, champion.sequence) if champion else None
    shown = {item.name: item.read(story.key) for item in desk.projections}
    problems = [
        f"{name} shows {pointer}, the champion is {wanted}"
        for name, pointer in shown.items()
        if pointer is None or (pointer.model, pointer.sequence) != wanted
    ]
    outcome = verify(desk.journal, extra_anchors=desk.extra_anchors)
    if outcome.fault is not None:
        problems.append(f"row {outcome.fault.sequence} {outcome.fault.message}")
    anchored = desk.journal.anchor.read()
    return problems + ([] if anchored and anchored.pending is None else ["the anchor is unsettled"])

"""Races: processes that promote different candidates at once, and processes that start at once."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.core.champions import ChampionKey
from components.core.errors import ConflictError
from components.promotion.actors import Actor
from components.promotion.desk import Desk
from components.promotion.journal import Journal
from components.promotion.policy import ApprovalPolicy
from components.promotion.promotions import promote
from components.promotion.proposals import Candidate, propose
from components.promotion.reconciliation import reconcile
from components.promotion.rows import Digests
from tests.components.promotion.cast import bento_tag, ignore

ROUND_TIMEOUT_S = 180.0
KEY = ChampionKey("products", "race")
RACER = Actor(name="eve", roles=("engineer",))


@dataclass
class Outcome:
    """What a race came to: winners a round, what losers were told, and anything that should not happen."""

    winners: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    strange: list[str] = field(default_factory=list)


def race_promotions(url: str, home: Path, *, num_processes: int, num_rounds: int) -> Outcome:
    """Every round, each process promotes a candidate of its own against the same champion."""
    context = multiprocessing.get_context("fork")
    barrier, results = context.Barrier(num_processes + 1), context.SimpleQueue()
    numbers = context.Array("i", num_processes)
    arguments = (url, home, num_rounds, numbers, barrier, results)
    workers = [context.Process(target=_promote_rounds, args=(index, *arguments)) for index in range(num_processes)]
    for worker in workers:
        worker.start()
    journal = Journal.open(url, home=home)
    outcome = Outcome()
    for round_number in range(num_rounds):
        _propose_round(journal, round_number, numbers)
        barrier.wait(ROUND_TIMEOUT_S)
        answers = [results.get() for _ in workers]
        outcome.winners.append(sum(kind == "won" for kind, _ in answers))
        outcome.told += [text for kind, text in answers if kind == "told"]
        outcome.strange += [text for kind, text in answers if kind == "strange"]
    for worker in workers:
        worker.join()
    journal.close()
    return outcome


def race_first_start(url: str, home: Path, *, num_processes: int) -> list[int]:
    """Processes that open a journal which does not exist yet, and propose; their exit codes."""
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(num_processes)
    workers = [context.Process(target=_start, args=(index, url, home, barrier)) for index in range(num_processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [worker.exitcode or 0 for worker in workers]


def race_reconciles(url: str, home: Path, *, num_promotions: int) -> tuple[list[int], int]:
    """Promotions one after the other while others reconcile without end.

    Returns the journal rows that a server saw at the pointer, in order, and the champion's row.
    """
    context = multiprocessing.get_context("fork")
    stop, seen = context.Event(), context.SimpleQueue()
    workers = [context.Process(target=_reconcile_until, args=(url, home, stop)) for _ in range(3)]
    workers.append(context.Process(target=_watch_until, args=(home, stop, seen)))
    for worker in workers:
        worker.start()
    desk = Desk(journal=Journal.open(url, home=home), projections=(bento_tag(home),), notify=ignore)
    champion = None
    for number in range(num_promotions):
        candidate = _candidate(f"{number:064x}", champion.model if champion else None)
        proposal = propose(desk, candidate, actor=RACER, policy=ApprovalPolicy(auto=True))
        champion = promote(desk, proposal.number, actor=RACER, current=candidate.digests).champion
    stop.set()
    rows = seen.get()
    for worker in workers:
        worker.join()
    desk.journal.close()
    return rows, champion.sequence if champion else 0


def _reconcile_until(url: str, home: Path, stop: Any) -> None:
    desk = Desk(journal=Journal.open(url, home=home), projections=(bento_tag(home),), notify=ignore)
    while not stop.is_set():
        reconcile(desk, actor=RACER)


def _watch_until(home: Path, stop: Any, seen: Any) -> None:
    pointer, rows = bento_tag(home), [0]
    while not stop.is_set():
        shown = pointer.read(KEY)
        if shown is not None and shown.sequence != rows[-1]:
            rows.append(shown.sequence)
        time.sleep(0.001)
    seen.put(rows)


def _propose_round(journal: Journal, round_number: int, numbers: Any) -> None:
    desk = Desk(journal=journal, notify=ignore)
    champion = journal.champion(KEY)
    for index in range(len(numbers)):
        candidate = _candidate(f"{round_number:032x}{index:032x}", champion.model if champion else None)
        policy = ApprovalPolicy(auto=True)
        numbers[index] = propose(desk, candidate, actor=RACER, policy=policy).number


def _promote_rounds(
    index: int, url: str, home: Path, num_rounds: int, numbers: Any, barrier: Any, results: Any
) -> None:
    desk = Desk(journal=Journal.open(url, home=home), notify=ignore)
    for round_number in range(num_rounds):
        barrier.wait(ROUND_TIMEOUT_S)
        current = _candidate(f"{round_number:032x}{index:032x}", None).digests
        try:
            promotion = promote(desk, numbers[index], actor=RACER, current=current)
            kind = "won" if promotion.champion.model == current.model else "strange"
            results.put((kind, str(promotion)))
        except ConflictError as error:
            results.put(("told", str(error)))
        except Exception as error:
            results.put(("strange", repr(error)))


def _start(index: int, url: str, home: Path, barrier: Any) -> None:
    barrier.wait(ROUND_TIMEOUT_S)
    desk = Desk(journal=Journal.open(url, home=home), notify=ignore)
    propose(desk, _candidate(f"{index:064x}", None), actor=RACER, policy=ApprovalPolicy())


def _candidate(model: str, champion: str | None) -> Candidate:
    digests = Digests(model=model, evaluation_set="e" * 64, policy="f" * 64, decision="d" * 64, champion=champion)
    return Candidate(workload="products", catalog="race", version=model[-4:], digests=digests, outcome="PROMOTE")

"""Brings everything back in line with the journal after a kill, an outage or a wait, and says what it did.

It settles the anchor, expires overdue proposals, mirrors every champion (fenced, see projections.py) and ends
ghosts: runs left RUNNING by a process that is dead. It may be run at any time, by two at once, and again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from components.promotion.actors import Actor
from components.promotion.anchors import Head
from components.promotion.desk import Desk, mirror
from components.promotion.projections import Projected
from components.promotion.proposals import Proposal, expire, pending_proposals


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """A run that a tracker took for running while its process was dead, and that was ended, with the reason."""

    kind: str
    id: str
    name: str
    reason: str


GhostFinder = Callable[[], Sequence[Ghost]]
"""Finds the ghosts of one tracker, marks them failed with the reason, and returns those it ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """What reconcile found and did; `problems` are finders that failed, `approved` proposals await promotion."""

    head: Head
    projected: tuple[Projected, ...]
    expired: tuple[Proposal, ...]
    approved: tuple[Proposal, ...]
    ghosts: tuple[Ghost, ...]
    problems: tuple[str, ...]

    @property
    def agrees(self) -> bool:
        """Whether the journal and every projection agree now."""
        return not self.problems and all(item.outcome in ("current", "written") for item in self.projected)


def reconcile(desk: Desk, *, actor: Actor, finders: Sequence[GhostFinder] = ()) -> Reconciliation:
    """Repair what a kill left behind; IntegrityError when the journal itself disagrees with its anchor."""
    actor.require("reconcile")
    desk.journal.on_step("reconcile: before settling")
    head = desk.journal.settle()
    expired = tuple(expire(desk))
    with desk.journal.reading() as ledger:
        keys = ledger.champion_keys()
    projected = mirror(desk, keys, verb="reconcile")
    ghosts: list[Ghost] = []
    problems: list[str] = []
    for find in finders:
        try:
            ghosts += find()
        except Exception as error:  # a tracker that is down must not hide what the others report
            problems.append(f"ghosts were not looked for: {error}")
    pending = pending_proposals(desk.journal)
    return Reconciliation(
        head=desk.journal.settle() if expired else head,
        projected=projected,
        expired=expired,
        approved=tuple(proposal for proposal in pending if proposal.state == "approved"),
        ghosts=tuple(ghosts),
        problems=tuple(problems),
    )

"""The desk at which promotion works: the journal, what mirrors it, and who is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from components.core.champions import ChampionKey, Projection
from components.core.errors import DataError
from components.promotion.anchors import ExtraAnchor
from components.promotion.journal import Journal
from components.promotion.notices import Notify, log_notice
from components.promotion.projections import Outcome, Projected, project

MAX_REASON_LENGTH = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Everything that a verb needs besides its own arguments."""

    journal: Journal
    projections: tuple[Projection, ...] = ()
    extra_anchors: tuple[ExtraAnchor, ...] = ()
    notify: Notify = log_notice


def mirror(desk: Desk, keys: Sequence[ChampionKey], *, verb: str) -> tuple[Projected, ...]:
    """Bring the projections of these keys and the extra anchors in line with the journal."""
    results = [result for key in keys for result in project(desk.journal, key, desk.projections, verb=verb)]
    return (*results, *_publish_head(desk, verb))


def check_reason(reason: str) -> str:
    """The reason, trimmed; DataError when an auditor could not read it."""
    reason = reason.strip()
    if not reason or "\0" in reason or len(reason) > MAX_REASON_LENGTH:
        raise DataError(f"a reason is needed, 1 to {MAX_REASON_LENGTH} characters, got {len(reason)}: pass --reason")
    try:
        reason.encode()
    except UnicodeEncodeError as error:
        raise DataError(f"the reason is not valid text: {error}") from error
    return reason


def _publish_head(desk: Desk, verb: str) -> list[Projected]:
    if not desk.extra_anchors:
        return []
    head = desk.journal.settle()
    results = []
    for anchor in desk.extra_anchors:
        desk.journal.on_step(f"{verb}: before publishing to {anchor.name}")
        outcome: Outcome
        try:
            anchor.publish(head)
            outcome, message = "written", f"row {head.sequence}"
        except Exception as error:  # an anchor is foreign code, and the row stands already
            outcome, message = "failed", f"{error}; run `detent reconcile` once this is mended"
        results.append(Projected(name=f"anchor {anchor.name}", key=None, outcome=outcome, message=message))
    return results

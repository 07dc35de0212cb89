"""Projections: what mirrors the champion outside the journal, brought in line and never put back.

A projection is written under a lock, with the champion read afresh inside it, and fenced by the champion's
sequence number: one that already shows a later number is left alone, whoever writes. So two reconciles, or
one that was asleep for a day, cannot bring an old champion back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from components.core.champions import Champion, ChampionKey, Pointer, Projection
from components.promotion.journal import Journal
from components.promotion.stores import file_lock

Outcome = Literal["current", "written", "fenced", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """What became of one projection: `fenced` means that it shows a later row than the journal's champion.

    `key` is None for an anchor, which holds the head of the whole journal.
    """

    name: str
    key: ChampionKey | None
    outcome: Outcome
    message: str


def project(journal: Journal, key: ChampionKey, projections: Sequence[Projection], *, verb: str) -> list[Projected]:
    """Bring the projections of a key in line with its champion; a failure is reported, not raised."""
    with _projection_lock(journal):
        champion = journal.champion(key)
        if champion is None:
            return []
        results = []
        for projection in projections:
            journal.on_step(f"{verb}: before projecting {projection.name}")
            results.append(_bring_in_line(projection, champion))
            journal.on_step(f"{verb}: after projecting {projection.name}")
        return results


def _bring_in_line(projection: Projection, champion: Champion) -> Projected:
    wanted = Pointer(model=champion.model, sequence=champion.sequence)
    outcome: Outcome
    try:
        shown = projection.read(champion.key)
        if shown == wanted:
            outcome, message = "current", f"shows version {champion.version}"
        elif shown is not None and shown.sequence > wanted.sequence:
            outcome = "fenced"
            message = f"shows row {shown.sequence}, the journal's champion is row {wanted.sequence}: left alone; "
            message += "the journal may have lost rows, run `detent verify`"
        else:
            projection.write(champion)
            outcome, message = "written", f"now shows version {champion.version} (row {champion.sequence})"
    except Exception as error:  # a projection is foreign code, and the champion stands already
        outcome, message = "failed", f"{error}; the promotion stands, run `detent reconcile` once this is mended"
    return Projected(name=projection.name, key=champion.key, outcome=outcome, message=message)


@contextmanager
def _projection_lock(journal: Journal) -> Iterator[None]:
    if journal.engine.dialect.name == "postgresql":
        with journal.engine.begin() as connection:
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('detent_projections'))"))
            yield
        return
    with file_lock(journal.home / "projections.lock"):
        yield

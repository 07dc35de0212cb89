"""History and its verification: what an auditor reads, and the proof that nobody altered it.

`verify` walks the chain from the first row, makes every digest again, checks signatures and that each champion
follows from the one before by an approved proposal, and compares the head with the anchors. It names the first
row that is wrong. What it cannot see: see README.md, "What an attacker could still do".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass

from components.core.champions import Champion
from components.core.errors import DetentError, IntegrityError, StateError
from components.promotion.actors import Actor
from components.promotion.anchors import Anchored, ExtraAnchor, Head
from components.promotion.chain import Chain, Fault
from components.promotion.desk import check_reason
from components.promotion.journal import Journal
from components.promotion.proposals import Proposal, pending_proposals
from components.promotion.rows import LOOK_KINDS, Entry, Row
from components.promotion.stores import JOURNAL

_BATCH_ROWS = 5_000
_STABLE_READS = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The outcome of a walk; `notes` are not faults: unsigned rows, an interrupted commit, anchors passed."""

    num_rows: int
    head: Head
    fault: Fault | None
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return self.fault is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Where things stand: every key's champion, and the proposals that wait."""

    champions: tuple[Champion, ...]
    proposals: tuple[Proposal, ...]
    head: Head


def history(
    journal: Journal,
    *,
    workload: str | None = None,
    catalog: str | None = None,
    target: str | None = None,
    kind: str | None = None,
    limit: int | None = None,
) -> list[Row]:
    """The rows of the journal in order, of one workload, catalogue, target or kind if named.

    `target` "" names the rows of the main champions, `limit` keeps the last rows. Looks at certify are many and tell
    of no champion: they are left out unless their kind is named.
    """
    given = {"workload": workload, "catalog": catalog, "target": target, "kind": kind}
    where = [JOURNAL.c[name] == value for name, value in given.items() if value is not None]
    if kind is None:
        where.append(JOURNAL.c.kind.not_in(LOOK_KINDS))
    with journal.reading() as ledger:
        return ledger.rows(*where) if limit is None else ledger.last_rows(*where, limit=limit)


def status(journal: Journal) -> Status:
    """The champions and the proposals that wait for people or for their promotion."""
    with journal.reading() as ledger:
        champions = [ledger.champion(key) for key in ledger.champion_keys()]
        head = ledger.head()
    found = tuple(champion for champion in champions if champion is not None)
    return Status(champions=found, proposals=tuple(pending_proposals(journal)), head=head)


def verify(
    journal: Journal, *, extra_anchors: Sequence[ExtraAnchor] = (), public_keys: Mapping[str, str] | None = None
) -> Verification:
    """Walk the whole chain and compare it with every anchor; `public_keys` are Ed25519 keys in hex by actor.

    Reads only. A fault is an answer, not an exception; what cannot be read is a fault too.
    """
    chain = Chain(public_keys or {})
    fault = _check(journal, chain, extra_anchors)
    return Verification(num_rows=chain.head.sequence, head=chain.head, fault=fault, notes=tuple(chain.notes()))


def adopt_head(
    journal: Journal, *, actor: Actor, reason: str, extra_anchors: Sequence[ExtraAnchor] = ()
) -> Verification:
    """Make the present head the anchored one, on record, after an anchor was lost or an incident was settled.

    The chain itself and the extra anchors must be sound: IntegrityError names the first fault.
    """
    actor.require("adopt the head")
    reason = check_reason(reason)
    chain = Chain({})
    with journal.reading() as ledger:
        last = ledger.head().sequence
    fault = _walk(journal, chain, last) or _check_extra(chain, extra_anchors)
    if fault is not None:
        raise IntegrityError(f"row {fault.sequence} is wrong, so the head cannot be adopted: {fault.message}")
    found = journal.anchor.read()
    details = {"anchor": asdict(found) if found else None}
    entry = Entry(kind="anchored", workload="", catalog="", actor=actor.name, reason=reason, details=details)
    journal.adopt(chain.head, entry)
    return verify(journal, extra_anchors=extra_anchors)


def _check(journal: Journal, chain: Chain, extra_anchors: Sequence[ExtraAnchor]) -> Fault | None:
    try:
        anchored, head = _read_head(journal)
        fault = _walk(journal, chain, head.sequence)
    except DetentError as error:
        return Fault(sequence=chain.head.sequence + 1, message=f"cannot be read: {error}")
    return fault or _check_main(chain, anchored, journal) or _check_extra(chain, extra_anchors)


def _walk(journal: Journal, chain: Chain, last: int) -> Fault | None:
    """Check the rows in large batches; after a batch that cannot be read go on row by row, to name the one."""
    for batch_rows in (_BATCH_ROWS, 1):
        where = JOURNAL.c.sequence.between(chain.head.sequence + 1, last)
        try:
            with journal.reading() as ledger, closing(ledger.stream(where, batch_rows=batch_rows)) as rows:
                return chain.check_rows(rows)
        except IntegrityError:
            if batch_rows == 1:
                raise
    return None


def _check_main(chain: Chain, anchored: Anchored | None, journal: Journal) -> Fault | None:
    if anchored is None and chain.head.sequence == 0:
        return None
    if anchored is None:
        message = f"the anchor is missing ({journal.anchor.name}), so the end of the journal is unproven: restore it, "
        message += "or let an auditor adopt the head"
        return Fault(sequence=chain.head.sequence, message=message)
    if anchored.pending is not None:
        chain.note("a write was interrupted, so the last row is unsettled: run `detent reconcile`")
    if anchored.allows(chain.head):
        return None
    return chain.compare(anchored.head, journal.anchor.name) or Fault(
        sequence=anchored.head.sequence + 1,
        message=f"was added behind the anchor's back ({journal.anchor.name} ends in row {anchored.head.sequence})",
    )


def _check_extra(chain: Chain, extra_anchors: Sequence[ExtraAnchor]) -> Fault | None:
    for anchor in extra_anchors:
        try:
            head = anchor.read()
        except Exception as error:  # an anchor is foreign code, and one that is down proves nothing
            chain.note(f"anchor {anchor.name} was not compared: {error}")
            continue
        if head is None:
            chain.note(f"anchor {anchor.name} holds nothing yet")
            continue
        fault = chain.compare(head, anchor.name)
        if fault is not None:
            return fault
    return None


def _read_head(journal: Journal) -> tuple[Anchored | None, Head]:
    """The anchor and the head of one moment: the anchor is the same before and after the head was read."""
    for _ in range(_STABLE_READS):
        before = journal.anchor.read()
        with journal.reading() as ledger:
            head = ledger.head()
        if journal.anchor.read() == before:
            return before, head
    raise StateError("the journal is being written too often to be compared with its anchor; verify again")

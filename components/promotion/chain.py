"""Checks rows one after the other: digest, link, signature and meaning; the first fault names its row.

Pure: rows come in, a fault or notes come out. Meaning is checked as well as digests, because a row with a right
digest may still say what never could have happened: a champion without approvals, or one that does not follow
from the champion before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from components.core.champions import ChampionKey
from components.promotion.anchors import Head
from components.promotion.policy import POLICY_ACTOR
from components.promotion.rows import GENESIS, Row, seal, short
from components.promotion.signatures import is_signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first thing that is wrong: the number of its row, and what it is."""

    sequence: int
    message: str


@dataclass(slots=True)
class _Approvals:
    key: ChampionKey
    needed: int
    automatic: str
    approvers: set[str]

    def is_enough(self) -> bool:
        return self.automatic in self.approvers or len(self.approvers) >= self.needed


class Chain:
    """The state of one walk; `head` is the last row that was found sound. `public_keys` are in hex by name."""

    def __init__(self, public_keys: Mapping[str, str]) -> None:
        self.head = Head()
        self._public_keys = public_keys
        self._digests = [GENESIS]
        self._champions: dict[ChampionKey, tuple[int | None, str | None]] = {}
        self._promoted: set[tuple[str | None, ChampionKey]] = set()
        self._approvals: dict[int | None, _Approvals] = {}
        self._signing: set[str] = set()
        self._unchecked: set[str] = set()
        self._num_signed = 0
        self._notes: list[str] = []

    def check_rows(self, rows: Iterable[Row]) -> Fault | None:
        """Walk on; the first fault ends it."""
        for row in rows:
            message = self._check_row(row)
            if message is not None:
                return Fault(sequence=self.head.sequence + 1, message=message)
            if row.previous != self.head.digest:
                return _broken_link(row.sequence)
            message = self._check_signature(row) or self._check_meaning(row)
            if message is not None:
                return Fault(sequence=row.sequence, message=message)
            self.head = Head(sequence=row.sequence, digest=row.digest)
            self._digests.append(row.digest)
        return None

    def compare(self, head: Head, name: str) -> Fault | None:
        """Whether the walked chain holds the row that an anchor remembers."""
        if head.sequence > self.head.sequence:
            message = f"is missing: the journal ends in row {self.head.sequence}, {name} knows row {head.sequence}"
            return Fault(sequence=self.head.sequence + 1, message=message)
        found = self._digests[head.sequence]
        if found != head.digest:
            message = f"has digest {short(found)}, {name} knows it as {short(head.digest)}: it was rewritten, "
            return Fault(sequence=head.sequence, message=message + "alone or with rows before it")
        return None

    def note(self, text: str) -> None:
        """Remember something that is no fault."""
        self._notes.append(text)

    def notes(self) -> list[str]:
        """What is no fault and yet worth reading."""
        notes = [f"{self._num_signed} of {self.head.sequence} rows are signed"]
        if self._unchecked:
            notes.append(f"no public key is registered for {', '.join(sorted(self._unchecked))}: signatures unchecked")
        return notes + self._notes

    def _check_row(self, row: Row) -> str | None:
        if row.sequence != self.head.sequence + 1:
            return f"is missing: row {row.sequence} follows row {self.head.sequence}"
        try:
            made = seal(row.columns())
        except (TypeError, ValueError):
            made = ""
        if made != row.digest:
            return f"was altered: its content has digest {short(made)}, recorded is {short(str(row.digest))}"
        return None

    def _check_signature(self, row: Row) -> str | None:
        if row.signed_by is None:
            if row.signature is not None:
                return "was altered: it carries a signature and names no signer"
            return f"is not signed, although {row.actor} signed before" if row.actor in self._signing else None
        if row.signed_by != row.actor and not row.actor.startswith(POLICY_ACTOR):
            return f"is signed by {row.signed_by} for {row.actor}"
        key = self._public_keys.get(row.signed_by)
        if row.signature is None:
            return f"has lost the signature of {row.signed_by}"
        if key is None:
            self._unchecked.add(row.signed_by)
        elif not is_signed(row.digest, row.signature, key):
            return f"has a signature that is not {row.signed_by}'s"
        self._num_signed += 1
        self._signing.add(row.actor)
        return None

    def _check_meaning(self, row: Row) -> str | None:
        if row.kind == "proposed":
            policy = row.read_details()["policy"]
            automatic = POLICY_ACTOR + policy["name"] if policy["auto"] else ""
            self._approvals[row.proposal] = _Approvals(row.key, policy["num_approvers"], automatic, set())
        elif row.kind == "approved" and row.proposal in self._approvals:
            self._approvals[row.proposal].approvers.add(row.actor)
        elif row.generation is not None:
            return self._check_champion(row)
        return None

    def _check_champion(self, row: Row) -> str | None:
        key = row.key
        generation, model = self._champions.get(key, (0, None))
        if row.generation != (generation or 0) + 1 or row.from_model != model:
            return f"makes a champion that does not follow from {short(model)}, the champion before"
        approvals = self._approvals.get(row.proposal)
        if row.kind == "promoted" and (approvals is None or not approvals.is_enough()):
            return "promotes without the approvals that the proposal's policy asks for"
        if row.kind == "promoted" and approvals is not None and approvals.key != key:
            return f"promotes for {key} what was proposed for {approvals.key}"
        if row.kind == "rolled_back" and (row.to_model, key) not in self._promoted:
            return f"rolls back to {short(row.to_model)}, which was never promoted here"
        self._promoted.add((row.to_model, key))
        self._champions[key] = (row.generation, row.to_model)
        return None


def _broken_link(sequence: int) -> Fault:
    if sequence == 1:
        return Fault(sequence=1, message="does not start a chain: it was rewritten")
    message = f"is not the row that row {sequence} was written upon: it was rewritten, or row {sequence} was"
    return Fault(sequence=sequence - 1, message=message)

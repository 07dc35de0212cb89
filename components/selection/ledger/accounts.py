"""The ledger's rows read back: one account a certify split, with what its looks have spent.

Rows of kind `split` (the samples of an account, again whenever they change), `look` (a charge), `answer` (its one
bit), `exposed` (samples that stood in train or search) and `retired` (an account closed for good). Rows of the
first schema name no account: there a fresh split closed the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from components.core.decisions import Look, SplitChange
from components.core.errors import IntegrityError, StateError
from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger.members import SplitMembers
from components.selection.ledger.spending import Account
from components.selection.ledger.stores import GENESIS, LedgerRow

_SAME_SHOWS = 0.01  # of a split whose ids are all new: from here on it is an earlier one, re-encoded or renamed


@dataclass(slots=True)
class SplitAccount:
    """One certify split through its life. `members` are all samples that it ever held."""

    number: int
    plan: SpendingPolicy
    account: Account
    members: SplitMembers
    last: SplitMembers
    last_ids: str
    last_content: str
    rows: list[LedgerRow] = field(default_factory=list)
    answers: dict[int, bool] = field(default_factory=dict)
    is_retired: bool = False

    def find(self, key: str) -> LedgerRow | None:
        """The look that asked the same of the same samples; other samples make another question."""
        asked = (key, self.last_ids)
        return next((row for row in self.rows if (row["key"], row["ids"]) == asked), None)

    def look(self, row: LedgerRow) -> Look:
        """A row as a look, with its answer if it has one."""
        return Look(
            number=row["number"],
            candidate=row["candidate"],
            champion=row["champion"],
            level=row["level"],
            mode=row["mode"],
            promoted=self.answers.get(row["number"]),
        )

    def looks(self) -> tuple[Look, ...]:
        """All looks in order."""
        return tuple(self.look(row) for row in self.rows)

    def change(self, asked: SplitMembers, content: str) -> SplitChange | None:
        """What differs from the split last asked; None where nothing does, or nothing was asked."""
        if not self.rows:
            return None
        shared = asked.num_shared(self.last)
        change = SplitChange(
            removed=max(0, len(self.last) - shared),
            added=max(0, len(asked) - shared),
            changed=bool(content and self.last_content and content != self.last_content),
        )
        return change if change != SplitChange() else None

    def check_plan(self, plan: SpendingPolicy) -> None:
        """StateError where the policy's plan is another than the one that the first look fixed."""
        if plan == self.plan or (self.plan.rule == "tree" and plan.alpha == self.plan.alpha):
            return
        raise StateError(
            f"the spending plan of this split was fixed by its first look as {self.plan.model_dump(mode='json')}, the "
            f"policy now says {plan.model_dump(mode='json')}; restore selection.policy.spending, or `detent refresh` "
            "for a fresh split"
        )


@dataclass(slots=True)
class Books:
    """Everything that a ledger's rows say, as of the last one taken."""

    head: str = GENESIS
    num_rows: int = 0
    accounts: list[SplitAccount] = field(default_factory=list)
    exposed: list[SplitMembers] = field(default_factory=list)
    current: int = 0
    _charged: list[tuple[SplitAccount, LedgerRow, Account]] = field(default_factory=list)

    def last(self) -> SplitAccount:
        """The account of the split that was asked last."""
        return self.accounts[self.current]

    def of(self, asked: SplitMembers) -> SplitAccount | None:
        """The account that holds any of these samples; None for a split that shares none with an earlier one.

        StateError where they belong to several accounts.
        """
        if self.accounts and asked.digest == self.last().last_ids:
            return self.last()
        shared = [(account, _num_same(asked, account.members)) for account in self.accounts]
        found = [(account, number) for account, number in shared if number]
        if len(found) > 1:
            told = " and ".join(f"{number} samples with split {account.number}" for account, number in found)
            raise StateError(
                f"this certify split shares {told}, each of which has a budget of its own; an earlier split must not "
                "be mixed with another: draw it from samples that no earlier split held"
            )
        return found[0][0] if found else None

    def take(self, row: LedgerRow) -> None:
        """Follow one row."""
        _TAKERS[row["kind"]](self, row)
        self.head = row["digest"]
        self.num_rows += 1

    def check_levels(self) -> None:
        """IntegrityError where a look was not charged at the level that its plan gives."""
        for account, row, before in self._charged:
            allowed = max(before.next_level(), account.plan.alpha if row["mode"] == "open" else 0.0)
            if row["level"] > allowed * (1 + 1e-9):
                raise IntegrityError(
                    f"look {row['number']} was charged at level {row['level']:g}, its plan allows {allowed:g}"
                )

    def _split(self, row: LedgerRow) -> None:
        members = SplitMembers.unpack(row["members"], row.get("shows", ""))
        if row["fresh"]:
            plan = _read_plan(row["plan"])
            opened = SplitAccount(
                number=len(self.accounts) + 1,
                plan=plan,
                account=Account.opened(plan),
                members=members,
                last=members,
                last_ids=row["ids"],
                last_content=row.get("content", ""),
            )
            self.accounts.append(opened)
            self.current = opened.number - 1
            return
        self.current = row.get("account", len(self.accounts)) - 1
        account = self.last()
        account.members = SplitMembers.union([account.members, members])
        account.last, account.last_ids, account.last_content = members, row["ids"], row.get("content", "")

    def _look(self, row: LedgerRow) -> None:
        account = self._account(row)
        self._charged.append((account, row, account.account))
        account.rows.append(row)
        account.account = account.account.charged(row["number"], row["level"])

    def _answer(self, row: LedgerRow) -> None:
        account = self._account(row)
        account.answers[row["number"]] = row["promoted"]
        account.account = account.account.answered(row["number"], row["promoted"])

    def _exposed(self, row: LedgerRow) -> None:
        self.exposed.append(SplitMembers.unpack(row["members"], row["shows"]))

    def _retired(self, row: LedgerRow) -> None:
        self._account(row).is_retired = True

    def _account(self, row: LedgerRow) -> SplitAccount:
        number: int = row.get("account", self.current + 1)
        return self.accounts[number - 1]


_TAKERS = {
    "split": Books._split,
    "look": Books._look,
    "answer": Books._answer,
    "exposed": Books._exposed,
    "retired": Books._retired,
}


def read_books(rows: Iterable[LedgerRow]) -> Books:
    """The books that these rows make, in order."""
    books = Books()
    for row in rows:
        books.take(row)
    return books


def _num_same(asked: SplitMembers, known: SplitMembers) -> int:
    """Samples shared by id; by their pictures only from a share on, since two photos may look alike by chance."""
    by_id = SplitMembers(asked.codes).num_shared(SplitMembers(known.codes))
    if by_id:
        return by_id
    alike = asked.num_shared(known)
    return alike if alike > _SAME_SHOWS * len(asked) else 0


def _read_plan(recorded: Mapping[str, Any]) -> SpendingPolicy:
    """The plan as it was recorded; one without a rule is of the time before there were two."""
    return SpendingPolicy.model_validate({"rule": "tree", **recorded})

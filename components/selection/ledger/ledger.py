"""The ledger of looks at certify splits: every look is recorded and charged before it is answered.

Kept in the journal's database, by workload and catalogue (or in a file, for tables of other tools), its head in a
small anchor file beside the split, in git. A split is known by its samples, by id and by what they show: one that
shares any with an earlier split goes on with its account, only a disjoint one opens a new one. A charge is durable
before the test runs, so a kill in between costs the look and gives no answer; the same question about the same
samples, labels, slices and groups is answered from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.decisions import Look, Mode, SplitChange
from components.core.digests import digest_json
from components.core.errors import IntegrityError, StateError
from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger import accounts
from components.selection.ledger.accounts import Books, SplitAccount
from components.selection.ledger.anchor import read_anchor, write_anchor
from components.selection.ledger.members import SplitMembers, recognised
from components.selection.ledger.spending import Account
from components.selection.ledger.stores import FileStore, LedgerRow, Store, Writer

_MOST_UNANCHORED = 2  # rows that one kill can leave: a split and its look


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One look that somebody asks for: `key` is what makes two questions the same (digests of all that counts).

    `content` is the digest of the samples' labels, slices and groups; a recorded answer belongs to it.
    """

    key: str
    candidate: str
    champion: str
    mode: Mode
    content: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAnswer:
    """What the ledger answered: the look with its one bit, and whether it came from the record, free of charge."""

    look: Look
    recorded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How the account of a split stands: its looks, what is left, and what the next look would test at.

    `refusal` says why no look can be had any more. `change` is what differs from the split last asked.
    """

    looks: tuple[Look, ...]
    account: Account
    next_level: float
    refusal: str = ""
    change: SplitChange | None = None


class Ledger:
    """The looks at the splits of one workload and catalogue, or of one file."""

    def __init__(self, store: Store | Path, anchor: Path | None = None, *, burns: bool = True) -> None:
        """`store`: where rows are kept, a path meaning a file; `anchor`: the small file beside the split, in git.

        `burns`: whether an open look closes the split; without, it is one look like the others.
        """
        self.store: Store = FileStore(store) if isinstance(store, Path) else store
        self.anchor = anchor
        self.burns = burns
        self._recognised: dict[str, NDArray[np.bool_]] = {}

    def ask(
        self,
        question: Question,
        members: SplitMembers | Sequence[str],
        plan: SpendingPolicy,
        test: Callable[[float], bool],
    ) -> LookAnswer | str:
        """Charge one look and answer `test(level)`; a question asked before gets its recorded answer.

        A string says why no look can be had: the budget is used up, or the split is burned. StateError when the
        spending plan was another or the split holds samples of a retired one; IntegrityError when ledger and
        anchor disagree.
        """
        asked = _members(members)
        with self._writing() as (writer, books):
            account = self._enter(writer, books, asked, plan, question)
            row = account.find(question.key)
            if row is not None and row["number"] in account.answers:
                return LookAnswer(look=account.look(row), recorded=True)
            if row is None:
                refusal = self._refusal(account)
                if refusal:
                    return refusal
                row = self._charge(writer, books, account, question)
        return self._answer(account.number, row, promoted=bool(test(row["level"])))

    def standing(self, members: SplitMembers | Sequence[str], plan: SpendingPolicy, content: str = "") -> Standing:
        """How the account of this split stands, an untouched one where no look was taken; costs nothing."""
        asked = _members(members)
        account = self._read().of(asked)
        if account is None:
            opened = Account.opened(plan)
            return Standing(looks=(), account=opened, next_level=opened.next_level())
        refusal = self._refusal(account)
        return Standing(
            looks=account.looks(),
            account=account.account,
            next_level=0.0 if refusal else account.account.next_level(),
            refusal=refusal,
            change=account.change(asked, content),
        )

    def looks(self) -> tuple[Look, ...]:
        """The looks at the split that was asked last, in order."""
        books = self._read()
        return books.last().looks() if books.accounts else ()

    def exposed(self) -> SplitMembers:
        """Every sample that is on record as having stood in train or search, or in a split that was retired."""
        books = self._read()
        retired = [account.members for account in books.accounts if account.is_retired]
        return SplitMembers.union([*books.exposed, *retired])

    def recognise(self, ids: Sequence[str], shows: Mapping[str, bytes]) -> NDArray[np.bool_]:
        """Which of these samples are on record as exposed, by id or by what they show; worked out once a set."""
        exposed = self.exposed()
        key = digest_json([list(ids), exposed.digest, len(exposed.shows)])
        if key not in self._recognised:
            self._recognised[key] = recognised(list(ids), shows, exposed)
        return self._recognised[key]

    def expose(self, members: SplitMembers) -> int:
        """Remember that these samples stand in train or search; how many of them are new."""
        with self._writing() as (writer, books):
            fresh = members.without(SplitMembers.union(books.exposed))
            if len(fresh) or len(fresh.shows):
                row = {"kind": "exposed", "num_ids": len(fresh), "members": fresh.pack(), "shows": fresh.pack_shows()}
                self._append(writer, books, row)
        return len(fresh)

    def retire(self, members: SplitMembers | Sequence[str], *, reason: str) -> bool:
        """Close the account of this split for good, on record; False where it is closed already or was never opened."""
        with self._writing() as (writer, books):
            account = books.of(_members(members))
            if account is None or account.is_retired:
                return False
            self._append(writer, books, {"kind": "retired", "account": account.number, "reason": reason})
        return True

    def check(self) -> None:
        """Raise IntegrityError when the ledger does not match its chain, its anchor, or its own plan."""
        self._read().check_levels()

    @contextmanager
    def _writing(self) -> Iterator[tuple[Writer, Books]]:
        """Rows added inside are durable first, then anchored: a kill in between leaves a few for the next to adopt."""
        with self.store.writing() as writer:
            self._check_anchor(writer.rows)
            books = accounts.read_books(writer.rows)
            yield writer, books
            if not self.store.witnessed:  # under the lock, since nothing else knows the last row
                self._write_anchor(books)
        if self.store.witnessed:
            self._write_anchor(books)

    def _read(self) -> Books:
        rows = self.store.read()
        self._check_anchor(rows)
        return accounts.read_books(rows)

    def _enter(
        self, writer: Writer, books: Books, asked: SplitMembers, plan: SpendingPolicy, question: Question
    ) -> SplitAccount:
        """The account of the split, opened if need be, and a row that says which samples it holds now."""
        account = books.of(asked)
        if account is not None and account.is_retired:
            raise StateError(
                "this certify split was retired, its samples certify nothing any more; run `detent run validation`, "
                "which deals the new one"
            )
        if account is not None:
            account.check_plan(plan)
            same = account.last_ids == asked.digest and account.last_content == question.content
            if same and account is books.last():
                return account
        change = account.change(asked, question.content) if account is not None else SplitChange()
        row: dict[str, Any] = {"kind": "split", "ids": asked.digest, "num_ids": len(asked), "members": asked.pack()}
        row |= {"shows": asked.pack_shows(), "content": question.content}
        row |= {"fresh": account is None, "dropped": change.removed if change is not None else 0}
        row |= {"account": account.number if account is not None else len(books.accounts) + 1}
        self._append(writer, books, row | {"plan": (account.plan if account else plan).model_dump(mode="json")})
        return books.last()

    def _charge(self, writer: Writer, books: Books, account: SplitAccount, question: Question) -> LedgerRow:
        number = len(account.rows) + 1
        level = account.account.next_level()
        if number == 1 and question.mode == "open" and self.burns:
            level = account.plan.alpha  # nothing was asked before and nothing can be asked after
        row = {"kind": "look", "account": account.number, "number": number, "level": level, "key": question.key}
        row |= {"mode": question.mode, "candidate": question.candidate, "champion": question.champion}
        return self._append(writer, books, row | {"ids": account.last_ids, "content": question.content})

    def _answer(self, number: int, row: LedgerRow, *, promoted: bool) -> LookAnswer:
        with self._writing() as (writer, books):
            account = books.accounts[number - 1]
            if row["number"] in account.answers:  # another process answered the same question meanwhile
                return LookAnswer(look=account.look(row), recorded=True)
            answer = {"kind": "answer", "account": number, "number": row["number"], "promoted": promoted}
            self._append(writer, books, answer)
        return LookAnswer(look=account.look(row), recorded=False)

    def _refusal(self, account: SplitAccount) -> str:
        if self.burns and any(row["mode"] == "open" for row in account.rows):
            return "this certify split was shown in an open look and is burned"
        if account.account.next_level() <= 0.0:
            taken = f"all {account.plan.planned_looks} planned looks were taken"
            return f"the error budget of this certify split is used up, {taken}"
        return ""

    def _append(self, writer: Writer, books: Books, row: Mapping[str, Any]) -> LedgerRow:
        sealed = writer.append(row)
        books.take(sealed)
        return sealed

    def _write_anchor(self, books: Books) -> None:
        if self.anchor is None or read_anchor(self.anchor, self.store.key).head == books.head:
            return
        last = books.last() if books.accounts else None
        told = {"rows": books.num_rows, "head": books.head, "certify_ids": last.last_ids if last else ""}
        told |= {"looks": len(last.rows) if last else 0, "promotions": sum(last.answers.values()) if last else 0}
        write_anchor(self.anchor, self.store.key, told)

    def _check_anchor(self, rows: Sequence[LedgerRow]) -> None:
        """IntegrityError where the anchor and the rows cannot both be right; it may lag behind."""
        if self.anchor is None:
            return
        anchored = read_anchor(self.anchor, self.store.key)
        known, name = anchored.rows, self.store.name
        if len(rows) < known:
            raise IntegrityError(
                f"{name} holds {len(rows)} rows, its anchor {self.anchor} knows of {known}; restore the ledger (it is "
                "not a fresh budget) or, where a team shares one, name its database (DETENT_JOURNAL_URL)"
            )
        if not self.store.witnessed and len(rows) > known + _MOST_UNANCHORED:
            raise IntegrityError(
                f"{name} holds {len(rows)} rows, its anchor {self.anchor} only {known}; restore the anchor from git"
            )
        head = rows[known - 1] if known else {"digest": anchored.head}
        if anchored.head != (head.get("was", head["digest"]) if anchored.was_file else head["digest"]):
            raise IntegrityError(f"{name} does not match its anchor {self.anchor}; restore both together")


def _members(members: SplitMembers | Sequence[str]) -> SplitMembers:
    return members if isinstance(members, SplitMembers) else SplitMembers.of(members)

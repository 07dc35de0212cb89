"""The ledger of looks at one certify split: every look is recorded and charged before it is answered.

An append-only file of hash-chained JSON lines; a small anchor file beside the split (committed to git) holds
its head. A deleted, cut or edited ledger does not match its anchor and is refused, and so is a clone that
brought the anchor and not the ledger. A split is known by its ids: one that shares any id with the current
one goes on with its budget, only a disjoint one starts afresh. A charge is on disk before the test runs, so a
kill in between costs the look and gives no answer; the same question asked again is answered from the record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from components.core.decisions import Look, Mode
from components.core.digests import digest_json
from components.core.errors import IntegrityError, StateError
from components.core.files import read_json, storage_errors, write_json
from components.selection import records, spending
from components.selection.members import SplitMembers
from components.selection.policy import SpendingPolicy

SCHEMA_VERSION = 1
_GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One look that somebody asks for: `key` is what makes two questions the same (digests of all that counts)."""

    key: str
    candidate: str
    champion: str
    mode: Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the ledger answered: the look with its one bit, and whether it came from the record, free of charge."""

    look: Look
    recorded: bool


@dataclass(slots=True)
class _State:
    """The ledger as read back: its rows, and what they say about the current split."""

    head: str = _GENESIS
    num_rows: int = 0
    splits: list[dict[str, Any]] = field(default_factory=list)
    looks: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[int, bool] = field(default_factory=dict)


class Ledger:
    """The looks at one split; safe against kill -9 and against two processes at once."""

    def __init__(self, path: Path, anchor: Path) -> None:
        """`path`: the JSON lines, in DETENT_HOME or data/; `anchor`: the small file beside the split, in git."""
        self.path = path
        self.anchor = anchor

    def ask(
        self, question: Question, ids: Sequence[str], plan: SpendingPolicy, test: Callable[[float], bool]
    ) -> Answer | str:
        """Charge one look and answer `test(level)`; a question asked before gets its recorded answer.

        A string says why no look can be had: the budget is used up, or the split is burned. StateError when the
        spending plan was another or the split holds samples of a closed one; IntegrityError when ledger and
        anchor disagree.
        """
        with self._locked():
            state = self._read()
            self._open_split(state, SplitMembers.of(ids), plan)
            row = _find(state, question)
            if row is not None and row["number"] in state.answers:
                return Answer(look=_look(row, state.answers), recorded=True)
            if row is None:
                refusal = _refusal(state, plan)
                if refusal:
                    return refusal
                row = self._charge(state, question, plan)
            promoted = bool(test(row["level"]))
            self._append(state, {"kind": "answer", "number": row["number"], "promoted": promoted})
            state.answers[row["number"]] = promoted
            return Answer(look=_look(row, state.answers), recorded=False)

    def looks(self) -> tuple[Look, ...]:
        """The looks at the current split so far, in order."""
        with self._locked():
            state = self._read()
        return tuple(_look(row, state.answers) for row in state.looks)

    def next_level(self, plan: SpendingPolicy) -> float:
        """The level that the next sealed look at the current split would have; 0 when the budget is used up."""
        looks = self.looks()
        if any(look.mode == "open" for look in looks):
            return 0.0
        return spending.look_level(plan, len(looks) + 1, sum(bool(look.promoted) for look in looks))

    def check(self) -> None:
        """Raise IntegrityError when the ledger does not match its chain or its anchor."""
        with self._locked():
            self._read()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        from filelock import FileLock

        with storage_errors(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.path.with_name(self.path.name + ".lock")):
                yield

    def _open_split(self, state: _State, members: SplitMembers, plan: SpendingPolicy) -> None:
        if state.splits and members.digest == state.splits[-1]["ids"]:
            _same_plan(state, plan)
            return
        seen = [SplitMembers.unpack(row["members"]) for row in state.splits]
        shared = [members.num_shared(other) for other in seen]
        current = max((i for i, row in enumerate(state.splits) if row["fresh"]), default=0)
        if any(shared[:current]):
            raise StateError(
                f"this certify split shares {max(shared[:current])} samples with an earlier split, whose budget is "
                "closed; draw it from samples that no earlier split held"
            )
        fresh = not any(shared[current:])
        if not fresh:
            _same_plan(state, plan)
        dropped = 0 if fresh else len(seen[-1]) - shared[-1]  # for the audit: samples may come, but why would they go?
        row = {"kind": "split", "ids": members.digest, "num_ids": len(members), "members": members.pack()}
        self._append(state, row | {"fresh": fresh, "dropped": dropped, "plan": plan.model_dump(mode="json")})

    def _charge(self, state: _State, question: Question, plan: SpendingPolicy) -> dict[str, Any]:
        number = len(state.looks) + 1
        level = spending.look_level(plan, number, sum(state.answers.values()))
        if number == 1 and question.mode == "open":
            level = plan.alpha  # nothing was asked before and nothing can be asked after
        row = {"kind": "look", "number": number, "level": level, "key": question.key, "mode": question.mode}
        row |= {"candidate": question.candidate, "champion": question.champion, "ids": state.splits[-1]["ids"]}
        self._append(state, row)
        return row

    def _append(self, state: _State, row: dict[str, Any]) -> None:
        """Make one row durable, then bring the anchor up to it: a kill in between leaves one row to adopt."""
        row = row | {"previous": state.head, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        row = row | {"digest": digest_json(row)}
        records.append(self.path, row)
        _take(state, row)
        self._write_anchor(state)

    def _write_anchor(self, state: _State) -> None:
        ids = state.splits[-1]["ids"] if state.splits else ""
        anchor = {"schema_version": SCHEMA_VERSION, "rows": state.num_rows, "head": state.head, "certify_ids": ids}
        write_json(self.anchor, anchor | {"looks": len(state.looks), "promotions": sum(state.answers.values())})

    def _read(self) -> _State:
        state = _State()
        anchored = self._read_anchor()
        self._replay(state, anchored)
        if state.num_rows < anchored["rows"]:
            raise IntegrityError(
                f"{self.path} holds {state.num_rows} rows, its anchor {self.anchor} knows of {anchored['rows']}; "
                "restore the ledger (it is not a fresh budget), or draw a fresh split with a ledger of its own"
            )
        if state.num_rows > anchored["rows"] + 1:
            raise IntegrityError(
                f"{self.path} holds {state.num_rows} rows, its anchor {self.anchor} only {anchored['rows']}; "
                "restore the anchor from git"
            )
        if state.num_rows > anchored["rows"]:
            self._write_anchor(state)
        return state

    def _read_anchor(self) -> dict[str, Any]:
        if not self.anchor.exists():
            return {"rows": 0, "head": _GENESIS}
        anchored = read_json(self.anchor)
        if type(anchored.get("rows")) is not int or type(anchored.get("head")) is not str:
            raise IntegrityError(f"{self.anchor} is no ledger anchor; restore it from git")
        return anchored

    def _replay(self, state: _State, anchored: dict[str, Any]) -> None:
        for number, row in enumerate(records.read(self.path), start=1):
            claimed = row.pop("digest", None)
            if row.get("previous") != state.head or digest_json(row) != claimed:
                raise IntegrityError(f"{self.path} line {number} was altered; restore the ledger from its backup")
            _take(state, row | {"digest": claimed})
            if state.num_rows == anchored["rows"] and state.head != anchored["head"]:
                raise IntegrityError(f"{self.path} does not match its anchor {self.anchor}; restore both together")


def _take(state: _State, row: dict[str, Any]) -> None:
    if row["kind"] == "split":
        if row["fresh"]:
            state.looks, state.answers = [], {}
        state.splits.append(row)
    elif row["kind"] == "look":
        state.looks.append(row)
    else:
        state.answers[row["number"]] = row["promoted"]
    state.head = row["digest"]
    state.num_rows += 1


def _refusal(state: _State, plan: SpendingPolicy) -> str:
    if any(row["mode"] == "open" for row in state.looks):
        return "this certify split was shown in an open look and is burned"
    if len(state.looks) >= plan.planned_looks:
        return f"the error budget of this certify split is used up, all {plan.planned_looks} planned looks were taken"
    return ""


def _find(state: _State, question: Question) -> dict[str, Any] | None:
    """The look that asked the same of the same samples; more samples make another question."""
    ids = state.splits[-1]["ids"]
    return next((row for row in state.looks if (row["key"], row["ids"]) == (question.key, ids)), None)


def _same_plan(state: _State, plan: SpendingPolicy) -> None:
    planned = next(row["plan"] for row in reversed(state.splits) if row["fresh"])
    if planned != plan.model_dump(mode="json"):
        raise StateError(
            f"the spending plan of this split was fixed by its first look as {planned}, the policy now says "
            f"{plan.model_dump(mode='json')}; restore selection.policy.spending or draw a fresh split"
        )


def _look(row: dict[str, Any], answers: dict[int, bool]) -> Look:
    return Look(
        number=row["number"],
        candidate=row["candidate"],
        champion=row["champion"],
        level=row["level"],
        mode=row["mode"],
        promoted=answers.get(row["number"]),
    )

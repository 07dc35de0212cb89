"""Opens the ledger of looks of a workspace: rows of the journal, by workload and catalogue, anchored in git.

A ledger of the time when it was a file of its own is taken over when it is first opened, without losing a row. The
file stays where it is: each catalogue of its workspace takes it over once, so that none gets a fresh budget by it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from components.core.errors import IntegrityError
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.promotion.journal import Journal
from components.promotion.looks import JournalStore
from components.selection.ledger.anchor import read_anchor
from components.selection.ledger.ledger import Ledger
from components.selection.ledger.members import SplitMembers

if TYPE_CHECKING:
    from components.workloads.rails.params import Params

MEMBERS = "members.parquet"
_SEEN = ("train", "search")


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """Who stands where, as validation left it: fingerprints of certify by id, and the members of train and search."""

    shows: Mapping[str, bytes] = field(default_factory=dict)
    exposed: SplitMembers | None = None


@contextmanager
def open_ledger(workspace: Workspace, params: Params) -> Iterator[Ledger]:
    """The ledger of this workspace's workload and catalogue.

    IntegrityError where its anchor knows of looks that are not in the journal: it is never a fresh budget.
    """
    settings = Settings()
    url = settings.journal_url or f"sqlite:///{workspace.home / 'journal.db'}"
    journal = Journal.open(url, home=workspace.home)
    try:
        store = JournalStore(journal, workload=params.workload, catalog=params.catalog, actor=settings.actor)
        _take_over_file(workspace, store)
        yield Ledger(store, workspace.ledger_anchor)
    finally:
        journal.close()


def read_membership(workspace: Workspace) -> Membership:
    """Which pictures certify, train and search hold; ids alone were known to earlier validations, and say nothing."""
    path = workspace.stage("validation") / MEMBERS
    if not path.is_file():
        return Membership()
    table = pq.read_table(path, columns=["sample_id", "split", "shows"]).to_pydict()
    rows = list(zip(table["sample_id"], table["split"], table["shows"], strict=True))
    seen = {name: shows for name, split, shows in rows if split in _SEEN}
    return Membership(
        shows={name: shows for name, split, shows in rows if split == "certify" and shows is not None},
        exposed=SplitMembers.of(seen, {name: shows for name, shows in seen.items() if shows is not None}),
    )


def _take_over_file(workspace: Workspace, store: JournalStore) -> None:
    if store.read():
        return
    anchored = read_anchor(workspace.ledger_anchor, store.key)
    if not workspace.ledger.is_file():
        if anchored.was_file and anchored.rows:
            raise IntegrityError(
                f"{workspace.ledger_anchor} knows of {anchored.rows} rows of a ledger that was a file, and "
                f"{workspace.ledger} is missing; restore it there (it is not a fresh budget), then run again"
            )
        return
    old = Ledger(workspace.ledger, workspace.ledger_anchor if anchored.was_file else None)
    old.check()
    store.adopt(old.store.read())

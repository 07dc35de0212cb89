"""The cast of every promotion test: a story on one store, and child processes that are killed for real."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from components.core.champions import Champion, ChampionKey, Pointer
from components.packaging.projection import BentoTag
from components.promotion.actors import Actor
from components.promotion.anchors import Anchored, ExtraAnchor, FileAnchor, Head
from components.promotion.desk import Desk
from components.promotion.journal import Journal
from components.promotion.notices import Notice
from components.promotion.policy import ApprovalPolicy
from components.promotion.promotions import Promotion, promote
from components.promotion.proposals import Candidate, Proposal, approve, propose
from components.promotion.rows import Digests

EVE = Actor(name="eve", roles=("engineer",))
RITA = Actor(name="rita", roles=("release manager",))
ROB = Actor(name="rob", roles=("release manager", "engineer"))
AMY = Actor(name="amy", roles=("auditor",))


def hex_digest(letter: str) -> str:
    return (letter * 64)[:64]


class FakeAlias:
    """A registry alias as a projection: last writer wins, as MLflow's does."""

    name = "alias"

    def __init__(self) -> None:
        self.shown: dict[ChampionKey, Pointer] = {}
        self.num_writes = 0
        self.error: Exception | None = None

    def read(self, key: ChampionKey) -> Pointer | None:
        return self.shown.get(key)

    def write(self, champion: Champion) -> None:
        if self.error is not None:
            raise self.error
        self.num_writes += 1
        pointer = Pointer(model=champion.model, sequence=champion.sequence)
        self.shown[champion.key] = pointer


@dataclass
class Story:
    """A desk with people: eve trains, rita and rob release, amy audits."""

    url: str
    home: Path
    desk: Desk
    alias: FakeAlias
    notices: list[Notice] = field(default_factory=list)
    catalog: str = "grocery"
    target: str = ""
    opened: list[Journal] = field(default_factory=list)
    eve: Actor = EVE
    rita: Actor = RITA
    rob: Actor = ROB
    amy: Actor = AMY

    @property
    def journal(self) -> Journal:
        return self.desk.journal

    @property
    def key(self) -> ChampionKey:
        return ChampionKey("products", self.catalog, self.target)

    def digests(self, model: str, champion: str | None = None, **changed: str | None) -> Digests:
        fixed = {"evaluation_set": hex_digest("e"), "policy": hex_digest("f"), "decision": hex_digest("d")}
        champion = hex_digest(champion) if champion else None
        return Digests(**{**fixed, "model": hex_digest(model), "champion": champion, **changed})  # type: ignore[arg-type]

    def candidate(self, model: str, champion: str | None = None, **changed: str | None) -> Candidate:
        given = {**self.key._asdict(), "version": model, "outcome": "PROMOTE"}
        return Candidate(**{**given, "digests": self.digests(model, champion), "trained_by": "eve", **changed})  # type: ignore[arg-type]

    def propose(self, model: str, champion: str | None = None, **policy: object) -> Proposal:
        rules = ApprovalPolicy.model_validate(policy)
        return propose(self.desk, self.candidate(model, champion), actor=self.eve, policy=rules)

    def propose_approved(self, model: str, champion: str | None = None) -> Proposal:
        number = self.propose(model, champion).number
        return approve(self.desk, number, actor=self.rita, reason="looks right", current=self.digests(model))

    def release(self, model: str, champion: str | None = None) -> Promotion:
        number = self.propose_approved(model, champion).number
        return promote(self.desk, number, actor=self.eve, current=self.digests(model))

    def champion(self) -> Champion | None:
        return self.journal.champion(self.key)

    def kinds(self) -> list[str]:
        with self.journal.reading() as ledger:
            return [row.kind for row in ledger.rows()]

    def pointer(self) -> Pointer | None:
        return bento_tag(self.home).read(self.key)

    def reopen(self, on_step: Callable[[str], None] | None = None) -> Desk:
        """The same desk as another process would open it; all its projections and anchors are files."""
        journal = Journal.open(self.url, home=self.home)
        self.opened.append(journal)
        if on_step is not None:
            journal.on_step = on_step
        projections = tuple(MirrorFile(self.home, name) for name in ("bento", "registry", "store"))
        return Desk(journal=journal, projections=projections, extra_anchors=(file_anchor(self.home),), notify=ignore)

    def close(self) -> None:
        for journal in [self.journal, *self.opened]:
            journal.close()


class MirrorFile(BentoTag):
    """A further projection in a file of its own."""

    def __init__(self, home: Path, name: str) -> None:
        super().__init__((home if name == "bento" else home / name) / "bentoml")
        self.name = name


def bento_tag(home: Path) -> BentoTag:
    """The Bento store's pointer, as flows set it up."""
    return BentoTag(home / "bentoml")


def pointer_path(home: Path, key: ChampionKey) -> Path:
    """Where that pointer lies."""
    return home / "bentoml" / "champions" / f"{key.file_stem}.json"


def file_anchor(home: Path) -> ExtraAnchor:
    """An extra anchor that remembers the last head published to it."""
    file = FileAnchor(home / "elsewhere.json")

    def read() -> Head | None:
        anchored = file.read()
        return anchored.head if anchored else None

    return ExtraAnchor(name="elsewhere", publish=lambda head: file.write(Anchored(head=head)), read=read)


def ignore(_: object) -> None:
    """Tell nobody."""


def open_story(url: str, home: Path) -> Story:
    """A story from its first page."""
    notices: list[Notice] = []
    alias = FakeAlias()
    journal = Journal.open(url, home=home)
    desk = Desk(journal=journal, projections=(bento_tag(home), alias), notify=notices.append)
    return Story(url=url, home=home, desk=desk, alias=alias, notices=notices)


def run_child(work: Callable[[], object]) -> int:
    """Run `work` in a forked process; its exit status, negative for a signal."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kill_at(step: str) -> Callable[[str], None]:
    """A hook that ends the process with SIGKILL at one durable step."""

    def hook(name: str) -> None:
        if name == step:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook

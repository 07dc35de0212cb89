"""What a champion is, and what mirrors it: the words that the journal, its mirrors and the flows share.

The champion is what the journal says (`components/promotion`). A projection shows it somewhere else: in the Bento
store, in MLflow's registry.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol
from urllib.parse import quote


class ChampionKey(NamedTuple):
    """What there is one champion of. `target` is a device with a champion of its own; "" is the main one."""

    workload: str
    catalog: str
    target: str = ""

    def __str__(self) -> str:
        return f"{self.workload} / {self.catalog}" + (f" for {self.target}" if self.target else "")

    @property
    def file_stem(self) -> str:
        """The name of a file that belongs to it, `WORKLOAD--CATALOG[--TARGET]`, percent-encoded.

        Two keys can share one (target `phone`, and a catalogue `main--phone`), so such a file names its key inside.
        """
        return "--".join(quote(part, safe="") for part in self if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A model as it can be released: its digest, its version in the registry, and its Bento once it is packaged."""

    model: str
    version: str
    bento: str | None = None
    bento_digest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Champion:
    """The model that a workload and catalogue serve, or a target of theirs, by the journal.

    `sequence` is the row that made it champion and fences every projection; `generation` counts the champions
    of its key; `origin` is the row of the model's own promotion, which differs from `sequence` after a rollback.
    """

    workload: str
    catalog: str
    release: Release
    sequence: int
    generation: int
    origin: int
    since: str
    target: str = ""

    @property
    def key(self) -> ChampionKey:
        """What it is champion of."""
        return ChampionKey(self.workload, self.catalog, self.target)

    @property
    def model(self) -> str:
        """The model's digest."""
        return self.release.model

    @property
    def version(self) -> str:
        """The model's version in the registry."""
        return self.release.version

    @property
    def bento(self) -> str | None:
        """The Bento's tag."""
        return self.release.bento

    @property
    def bento_digest(self) -> str | None:
        """The digest of the Bento's content."""
        return self.release.bento_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """What a projection shows: a model's digest, and the number of the journal row it was written for."""

    model: str
    sequence: int


class Projection(Protocol):
    """A mirror of the champion; called under the projection lock.

    `read` returns None where nothing was ever written, or where what is there was not written by Detent.
    `write` replaces it atomically, and must store the sequence number with it.
    """

    name: str

    def read(self, key: ChampionKey) -> Pointer | None:
        """What the projection shows now for this key."""

    def write(self, champion: Champion) -> None:
        """Show this champion, and its sequence number."""

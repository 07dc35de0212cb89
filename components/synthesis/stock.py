"""Reads what images are made from, each source once, and says of each asset whether it can be used.

Assets are named by the digests of their bytes. What cannot be used is listed with its reason and left out; the rest
of the run goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

from components.synthesis.runs.terms import Terms

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One thing that images may be made from: what it is, by the digest of its bytes, and under which licence.

    What was `drawn` lies in no file.
    """

    sample_id: str
    role: str
    name: str
    label: str | None
    licence: str | None
    used: bool = True
    drawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """An asset that a person should look at, why, and whether it is used all the same."""

    sample_id: str
    role: str
    name: str
    label: str | None
    reason: str
    used: bool = False

    @property
    def sentence(self) -> str:
        """The reason with the asset's name in it."""
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery(Generic[T_co]):
    """What a source gave: what can be used, and the word on every asset of it."""

    items: T_co
    assets: tuple[Asset, ...] = ()
    doubtful: tuple[Doubtful, ...] = ()


def _nothing(_: Stock) -> Iterable[tuple[str, bytes]]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source(Generic[T_co]):
    """One kind of asset: its role, how it is read, and the bytes of all that is stored of it now, by name.

    A source of what is drawn stores nothing.
    """

    role: str
    read: Callable[[Stock], Delivery[T_co]]
    stored: Callable[[Stock], Iterable[tuple[str, bytes]]] = _nothing


class Stock:
    """All that a run is made from: manifest folders, and what sources have read in them so far."""

    def __init__(self, *, catalog: Path | None, backgrounds: Path | None, terms: Terms) -> None:
        self.catalog, self.backgrounds, self.terms = catalog, backgrounds, terms
        self._read: dict[Source[Any], Delivery[Any]] = {}

    def read(self, source: Source[T]) -> Delivery[T]:
        """What a source gives; it is read when it is first asked for."""
        if source not in self._read:
            self._read[source] = source.read(self)
        found: Delivery[T] = self._read[source]
        return found

    @property
    def assets(self) -> tuple[Asset, ...]:
        """All assets of the sources that were read, in the order in which they were."""
        return tuple(chain.from_iterable(delivery.assets for delivery in self._read.values()))

    @property
    def doubtful(self) -> tuple[Doubtful, ...]:
        """Those of the assets that a person should look at, or that cannot be used."""
        return tuple(chain.from_iterable(delivery.doubtful for delivery in self._read.values()))

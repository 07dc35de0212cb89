"""The Bento tag "champion": a pointer file in the Bento store, which has no aliases of its own.

One file a champion, `champions/WORKLOAD--CATALOG.json`, that of a target `WORKLOAD--CATALOG--TARGET.json`. It
mirrors the journal and is fenced by the number of the journal's row: it never goes back to an earlier one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Generic, Protocol, TypeVar
from urllib.parse import quote

from components.core.errors import ConflictError, DataError, StateError
from components.core.files import read_json, write_json
from components.packaging.building import find_bento

P_co = TypeVar("P_co", covariant=True)


class Key(Protocol):
    """What there is one champion of; `target` is empty for the main one."""

    @property
    def workload(self) -> str: ...  # noqa: D102
    @property
    def catalog(self) -> str: ...  # noqa: D102
    @property
    def target(self) -> str: ...  # noqa: D102


class Champion(Key, Protocol):
    """What this projection shows of the journal's champion."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def bento(self) -> str | None: ...  # noqa: D102
    @property
    def bento_digest(self) -> str | None: ...  # noqa: D102
    @property
    def sequence(self) -> int: ...  # noqa: D102


class MakePointer(Protocol[P_co]):
    """Makes what `read` returns; promotion's Pointer, handed in because stages do not import one another."""

    def __call__(self, *, model: str, sequence: int) -> P_co: ...  # noqa: D102


class BentoTag(Generic[P_co]):
    """The projection of the champion into the Bento store at `bento_home`."""

    name = "bento"

    def __init__(self, bento_home: Path, make_pointer: MakePointer[P_co]) -> None:
        self._home = bento_home
        self._make_pointer = make_pointer

    def read(self, key: Key) -> P_co | None:
        """What the pointer shows; None when it is missing or damaged, which a write then repairs."""
        path = _pointer_path(self._home, key.workload, key.catalog, key.target)
        try:
            value = read_json(path)
            return self._make_pointer(model=str(value["model"]), sequence=int(value["sequence"]))
        except (OSError, DataError, KeyError, TypeError, ValueError):
            return None

    def write(self, champion: Champion) -> None:
        """Show this champion; ConflictError when a later one stands there, SourceError when its Bento is gone."""
        path = _pointer_path(self._home, champion.workload, champion.catalog, champion.target)
        shown = _shown_sequence(path)
        if shown > champion.sequence:
            raise ConflictError(
                f"{path} shows row {shown} of the journal, row {champion.sequence} is older: left alone"
            )
        if champion.bento is not None:
            find_bento(self._home, champion.bento)
        value = {
            "schema": 1,
            "model": champion.model,
            "bento": champion.bento,
            "bento_digest": champion.bento_digest,
            "sequence": champion.sequence,
        }
        write_json(path, value)


def champion_bento(bento_home: Path, workload: str, catalog: str, target: str = "") -> Path:
    """The folder of the champion's Bento, for `detent serve`; StateError when there is none yet."""
    path = _pointer_path(bento_home, workload, catalog, target)
    tag = read_json(path).get("bento") if path.is_file() else None
    if not isinstance(tag, str):
        raise StateError(
            f"{workload} on {catalog} has no Bento to serve{f' for {target}' if target else ''}: promote a release "
            "first, or run `detent reconcile`"
        )
    return find_bento(bento_home, tag)


def _pointer_path(bento_home: Path, workload: str, catalog: str, target: str) -> Path:
    name = "--".join(quote(part, safe="") for part in (workload, catalog, target) if part)
    return bento_home / "champions" / f"{name}.json"


def _shown_sequence(path: Path) -> int:
    try:
        return int(read_json(path)["sequence"])
    except (OSError, DataError, KeyError, TypeError, ValueError):
        return -1

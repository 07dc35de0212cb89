"""The Bento tag "champion": a pointer file in the Bento store, which has no aliases of its own.

One file a champion, `champions/WORKLOAD--CATALOG.json`, that of a target `WORKLOAD--CATALOG--TARGET.json`. It
mirrors the journal and is fenced by the number of the journal's row: it never goes back to an earlier one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from components.core.champions import Champion, ChampionKey, Pointer
from components.core.errors import ConflictError, DataError, StateError
from components.core.files import read_json, write_json
from components.packaging.building import find_bento


class BentoTag:
    """The projection of the champion into the Bento store at `bento_home`."""

    name = "bento"

    def __init__(self, bento_home: Path) -> None:
        self._home = bento_home

    def read(self, key: ChampionKey) -> Pointer | None:
        """What the pointer shows; None when it is missing or damaged, which a write then repairs.

        ConflictError when the file is another key's, which would need the same name.
        """
        try:
            value = _read(self._home, key)
            return Pointer(model=str(value["model"]), sequence=int(value["sequence"]))
        except (OSError, DataError, KeyError, TypeError, ValueError):
            return None

    def write(self, champion: Champion) -> None:
        """Show this champion; ConflictError when a later one stands there, SourceError when its Bento is gone."""
        shown, path = self.read(champion.key), _path(self._home, champion.key)
        if shown is not None and shown.sequence > champion.sequence:
            raise ConflictError(
                f"{path} shows row {shown.sequence} of the journal, row {champion.sequence} is older: left alone"
            )
        if champion.bento is not None:
            find_bento(self._home, champion.bento)
        value = {
            "schema": 1,
            "key": list(champion.key),
            "model": champion.model,
            "bento": champion.bento,
            "bento_digest": champion.bento_digest,
            "sequence": champion.sequence,
        }
        write_json(path, value)


def champion_bento(bento_home: Path, key: ChampionKey) -> Path:
    """The folder of the champion's Bento, for `detent serve`; StateError when there is none yet."""
    tag = _read(bento_home, key).get("bento") if _path(bento_home, key).is_file() else None
    if not isinstance(tag, str):
        raise StateError(f"{key} has no Bento to serve: promote a release first, or run `detent reconcile`")
    return find_bento(bento_home, tag)


def _read(bento_home: Path, key: ChampionKey) -> dict[str, Any]:
    path = _path(bento_home, key)
    value = read_json(path)
    named = value.get("key", list(key))  # earlier versions wrote none
    if named != list(key):
        raise ConflictError(
            f"{path} is the pointer of {' / '.join(map(str, named))}, and {key} would need it too: rename the target"
        )
    return value


def _path(bento_home: Path, key: ChampionKey) -> Path:
    return bento_home / "champions" / f"{key.file_stem}.json"

"""The rows of the journal, and how each row's digest is computed.

A row's digest covers every column but itself and the signature, the digest of the row before included:
whoever alters, removes or reorders a row has to make every later digest again, and then disagrees with
the anchors that are kept outside the database. The champion is never stored apart: it is the last row of
kind `promoted` or `rolled_back` of its key: workload, catalogue and target.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, NamedTuple, get_args

from components.core.champions import Champion, ChampionKey, Release
from components.core.digests import digest_json

LookKind = Literal["split", "look", "answer", "exposed", "retired"]
Kind = (
    Literal["proposed", "approved", "rejected", "expired", "voided", "promoted", "rolled_back", "anchored"] | LookKind
)
LOOK_KINDS: tuple[LookKind, ...] = get_args(LookKind)
CHAMPION_KINDS: tuple[Kind, ...] = ("promoted", "rolled_back")
CLOSING_KINDS: tuple[Kind, ...] = ("rejected", "expired", "voided", "promoted")
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What an approval is bound to; a digest that changes makes it void. sha256 in hex, None for "there is none".

    `code` is None in rows of schema 1, which did not record it: such a proposal is bound to the other digests alone.
    """

    model: str
    evaluation_set: str
    policy: str
    decision: str
    bento: str | None = None
    champion: str | None = None
    code: str | None = None

    def changes(self, current: Digests) -> list[str]:
        """What differs in `current`, one sentence a digest, in words for the person who approved."""
        pairs = [(item.name, getattr(self, item.name), getattr(current, item.name)) for item in fields(self)]
        return [
            f"{name.replace('_', ' ')} was {short(then)} when proposed and is {short(now)} now"
            for name, then, now in pairs
            if then != now and (name, then) != ("code", None)
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What an operation wants to write; the journal adds number, time, actor and digests."""

    kind: Kind
    workload: str
    catalog: str
    actor: str
    reason: str
    proposal: int | None = None
    generation: int | None = None
    from_model: str | None = None
    to_model: str | None = None
    decision: str | None = None
    target: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


class Row(NamedTuple):
    """One row of the journal as it is stored; `details` is canonical JSON, `time` is UTC in ISO 8601.

    A named tuple, since a history of 100,000 rows is read in a fifth of the time that dataclasses take.
    """

    sequence: int
    kind: str
    workload: str
    catalog: str
    actor: str
    time: str
    reason: str
    proposal: int | None
    generation: int | None
    from_model: str | None
    to_model: str | None
    decision: str | None
    details: str
    previous: str
    signed_by: str | None
    digest: str
    signature: str | None
    target: str = ""

    @property
    def key(self) -> ChampionKey:
        """What it is about."""
        return ChampionKey(self.workload, self.catalog, self.target)

    def columns(self) -> dict[str, Any]:
        """All columns by name."""
        return self._asdict()

    def read_details(self) -> dict[str, Any]:
        """The details as a mapping."""
        value: dict[str, Any] = json.loads(self.details)
        return value

    def to_json(self) -> dict[str, Any]:
        """The row for reports and `--json`, details parsed."""
        return self.columns() | {"details": self.read_details()}

    def champion(self) -> Champion:
        """The champion that this row made; only for rows of kind `promoted` and `rolled_back`."""
        details = self.read_details()
        return Champion(
            workload=self.workload,
            catalog=self.catalog,
            release=Release(**details["to"]),
            sequence=self.sequence,
            generation=self.generation or 0,
            origin=details.get("origin", self.sequence),
            since=self.time,
            target=self.target,
        )


ROW_COLUMNS = Row._fields
_UNHASHED = ("digest", "signature")


def seal(columns: Mapping[str, Any]) -> str:
    """The digest of a row, given all its columns by name.

    An empty target is left out, as schema 1 had none: the digests of its rows stay what they were.
    """
    unhashed = _UNHASHED if columns["target"] else (*_UNHASHED, "target")
    return digest_json({name: columns[name] for name in ROW_COLUMNS if name not in unhashed})


def canonical(value: Mapping[str, Any]) -> str:
    """JSON with one spelling, so that equal details give equal digests."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def short(digest: str | None) -> str:
    """A digest as messages show it: twelve digits, or `none`."""
    return digest[:12] if digest else "none"

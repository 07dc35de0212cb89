"""What a run orders from a generator and what it gets: an order in, a lot out.

A lot is a job that makes any of its rows alone, and how many shards it fills. Aims go to every generator that can
show their classes and draws their factors.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from components.synthesis.picture.aims import Aim
from components.synthesis.picture.geometry import Geometry
from components.synthesis.runs.rows import Stamp
from components.synthesis.runs.terms import Terms
from components.synthesis.runs.work import Row
from components.synthesis.stock import Stock


class RowJob(Protocol):
    """A generator's job: shards of rows, and any row alone, with the same bytes."""

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard."""
        ...

    def row(self, shard: int, index: int) -> Row:
        """The row whose recipe names this place."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one generator is to make: how many images of which class (0 for some), from which stock, on which terms.

    `stamp` goes on every row; `cache` is a folder for what is dear to make and needed again.
    """

    counts: Mapping[str, int]
    stock: Stock
    terms: Terms
    stamp: Stamp
    cache: Path


def nothing_to_prepare() -> int:
    """What most lots have to do before their first shard."""
    return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lot:
    """One generator's part of a run; `aims` are the numbers of those that it follows.

    `prepare` does what the shards need, tracing views for example, and returns how many it did. Rows made alone
    come from `lone`, where there is one, which does so row by row. Images that show depth have a `geometry` by
    (shard, index), and no surface of them lies farther than `farthest_m`.
    """

    title: str
    job: RowJob
    num_shards: int
    num_images: int
    aims: frozenset[int] = frozenset()
    prepare: Callable[[], int] = nothing_to_prepare
    lone: RowJob | None = None
    geometry: Callable[[int, int], Geometry] | None = None
    farthest_m: float = 0.0


def fitting_aims(
    aims: Sequence[Aim],
    classes: Collection[str],
    example: Callable[[], Row],
    words: Mapping[str, Collection[str]] | None = None,
) -> dict[int, Aim]:
    """The aims, by number, that a generator can follow: at those of its classes that they name, with its factors.

    `example` makes any of the generator's rows without aims; it is called only if an aim names ranges. `words` are
    those that each factor in words can be narrowed to; an aim must mean one of them.
    """
    found, known = {}, words or {}
    row = example() if any(aim.ranges for aim in aims) else {}
    drawn = {name.removeprefix("f_") for name, value in row.items() if not isinstance(value, str)}
    for number, aim in enumerate(aims):
        shown = tuple(name for name in aim.classes if name in classes)
        worded = all(set(meant) & set(known.get(name, ())) for name, meant in aim.words.items())
        if worded and drawn.issuperset(aim.ranges) and (shown or not aim.classes):
            found[number] = aim.model_copy(update={"classes": shown})
    return found

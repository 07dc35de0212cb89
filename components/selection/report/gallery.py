"""The flip gallery: each sample that broke or was repaired, with both answers, its slices and its pictures.

Pictures are made small and embedded, so that the report is one file; how many are shown is capped and said.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from components.core import verdicts
from components.core.decisions import Decision
from components.core.workloads import Shown
from components.selection.gate.flips import Rows

MAX_CARDS = 120  # of the broken, and as many of the repaired
_THUMB_PX = 192
ShowById = Callable[[str], Shown | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One flipped sample as the report shows it."""

    sample_id: str
    kind: str
    old_prediction: str
    new_prediction: str
    old_score: float
    new_score: float
    slices: tuple[str, ...]
    truth: str
    pictures: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gallery:
    """The cards, and how many flips there are in all; fewer cards than flips means that the rest is not shown."""

    cards: tuple[Card, ...]
    num_broken: int
    num_repaired: int


def build(decision: Decision, rows: Rows | None, show: ShowById | None) -> Gallery:
    """The cards of the decision's flipped samples, most confident mistakes first.

    Without `show`, which knows the truth, it is the label of the verdict table, or what the model said that was right.
    """
    broken, repaired = decision.negative_ids, decision.positive_ids
    counts = decision.counts
    totals = (counts.negative_flips, counts.positive_flips) if counts is not None else (0, 0)
    if rows is None:
        return Gallery(cards=(), num_broken=totals[0], num_repaired=totals[1])
    cards = [*_cards(rows, broken, "broken", show), *_cards(rows, repaired, "repaired", show)]
    return Gallery(cards=tuple(cards), num_broken=totals[0], num_repaired=totals[1])


def _cards(rows: Rows, ids: tuple[str, ...], kind: str, show: ShowById | None) -> list[Card]:
    places = {name: index for index, name in enumerate(rows.ids.to_pylist())}
    where = np.array([places[name] for name in ids if name in places], dtype=np.int64)
    scores = rows.new_table["score"].to_numpy()
    chosen = where[np.argsort(-scores[where], kind="stable")][:MAX_CARDS] if len(where) else where
    old, new = (table.take(chosen).to_pylist() for table in (rows.old_table, rows.new_table))
    slices = {name: column.take(chosen).to_pylist() for name, column in rows.slices.items()}
    cards = []
    for index, (before, after) in enumerate(zip(old, new, strict=True)):
        shown = show(before["sample_id"]) if show is not None else None
        told = after.get(verdicts.LABEL) or _answer(before if kind == "broken" else after)
        cards.append(
            Card(
                sample_id=before["sample_id"],
                kind=kind,
                old_prediction=_answer(before),
                new_prediction=_answer(after),
                old_score=before["score"],
                new_score=after["score"],
                slices=tuple(f"{name} = {values[index]}" for name, values in slices.items()),
                truth=shown.title if shown is not None and shown.title else told,
                pictures=_thumbnails(shown.pictures) if shown is not None else (),
                words=tuple(f"{name}: {text}" for name, text in shown.words.items()) if shown is not None else (),
            )
        )
    return cards


def _thumbnails(pictures: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(made for picture in pictures if (made := _thumbnail(picture)) is not None)


def _answer(row: dict[str, object]) -> str:
    return "(abstained)" if row["verdict"] == -1 else str(row["prediction"] or "(not said)")


def _thumbnail(data: bytes) -> str | None:
    """A small JPEG as a data URI; None where it cannot be read."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(data)) as image:
            small = image.convert("RGB")
            small.thumbnail((_THUMB_PX, _THUMB_PX))
    except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError):
        return None
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=82)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

"""Decides which images are taken out before anything else looks at the data, and says why and what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from components.core.manifest import SOURCES, Source
from components.validation.config import ValidationConfig
from components.validation.facts import Facts

Kind = Literal["unreadable", "truncated", "too small", "huge", "blank", "copy", "two labels"]
_PRECEDENCE = SOURCES


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """An image taken out: where it stood, what is wrong, and what its owner can do."""

    source: Source
    index: int
    name: str
    label: str | None
    kind: Kind
    reason: str
    remedy: str


def quarantine(facts: Sequence[Facts], config: ValidationConfig) -> list[Quarantined]:
    """The images to take out, in the order of `facts`: those that cannot serve, then surplus copies.

    Of equal bytes under one label one is kept, a catalogue's before a photo's before a background's. Under
    two labels nobody can tell which is right: all are taken out, but for a catalogue entry, which defines its class.
    """
    bad = [item for fact in facts if (item := _judge(fact, config)) is not None]
    out = {(item.source, item.index) for item in bad}
    by_id: dict[str, list[Facts]] = defaultdict(list)
    for fact in facts:
        if (fact.source, fact.index) not in out:
            by_id[fact.sample_id].append(fact)
    for copies in by_id.values():
        if len(copies) > 1:
            bad += _judge_copies(sorted(copies, key=lambda fact: (_PRECEDENCE.index(fact.source), fact.index)))
    return sorted(bad, key=lambda item: (_PRECEDENCE.index(item.source), item.index))


def _judge(fact: Facts, config: ValidationConfig) -> Quarantined | None:
    if fact.fault is not None:
        reason, _, remedy = fact.fault.rpartition("; ")
        kinds: tuple[Kind, ...] = ("truncated", "too small", "huge")
        kind: Kind = next((kind for kind in kinds if reason.startswith(kind)), "unreadable")
        return _taken(fact, kind, reason.partition(": ")[2], remedy)
    if min(fact.width_px, fact.height_px) < config.min_side_px:
        size = f"{fact.width_px}x{fact.height_px} pixels, at least {config.min_side_px} a side"
        return _taken(fact, "too small", size, "replace it by a larger one")
    if fact.std < config.blank_std:
        return _taken(fact, "blank", f"all one colour (varies by {fact.std:.1f} of 255)", "take the photo again")
    return None


def _judge_copies(copies: list[Facts]) -> list[Quarantined]:
    kept = copies[0]
    labels = sorted({str(fact.label) for fact in copies if fact.source != "background"})
    if len(labels) <= 1:
        reason = f"the same bytes as {kept.source} {kept.name}, which is kept"
        return [_taken(fact, "copy", reason, "nothing; or delete it") for fact in copies[1:]]
    entries = [fact for fact in copies if fact.source == "catalog"]
    doubtful = copies[1:] if len(entries) == 1 else copies
    reason = f"the same bytes stand under {len(labels)} labels: {', '.join(labels)}"
    return [_taken(fact, "two labels", reason, "keep it under the right label only") for fact in doubtful]


def _taken(fact: Facts, kind: Kind, reason: str, remedy: str) -> Quarantined:
    return Quarantined(
        source=fact.source,
        index=fact.index,
        name=fact.name,
        label=fact.label,
        kind=kind,
        reason=reason,
        remedy=remedy,
    )

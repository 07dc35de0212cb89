"""What a workload says of its data: how photos are dealt, what is asked of them, what else must be true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from components.core.manifest import Split
from components.core.samples import one_an_image
from components.validation.config import ValidationConfig
from components.validation.dealing import Key, label_of
from components.validation.facts import Facts
from components.validation.frames import Findings
from components.validation.suites import Check

Question = Mapping[str, Any]  # a row of core/samples.py; `images` and `truth` are needed
Asked = Mapping[Split, pa.Table | Sequence[Question]]
Ask = Callable[[Mapping[Split, Path]], Asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a workload finds beside what is checked of any images: checks, with the rows that they read by frame.

    `metrics` join the stage's, `files` are written into its folder as JSON, `classes` are the rows of the page's table
    of classes.
    """

    checks: tuple[Check, ...] = ()
    frames: Mapping[str, list[dict[str, Any]]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any] | list[Any]] = field(default_factory=dict)
    classes: Sequence[Mapping[str, Any]] = ()


def ask_each(photos: Mapping[Split, Path]) -> Asked:
    """Each photo is a question by itself, its label the truth."""
    return {split: one_an_image(folder) for split, folder in photos.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a workload wants its photos dealt and what it asks of them.

    With `hold_out` all photos of one key (a person, a supplier, a video) are one group, named by it, and so stand in
    one split: models are judged on keys that training never saw. Photos without a key go by themselves. `balance` is
    the key whose values all come into every split, as far as there are groups enough; by default the label, or none
    where keys are held out. `ask` gives the questions of each split once the photos are dealt, `examine` what must be
    true beside.
    """

    hold_out: Key | None = None
    balance: Key | None = None
    ask: Ask = ask_each
    examine: Callable[[Findings, ValidationConfig], Examined] | None = None

    def balanced_by(self) -> Key | None:
        """The key that is balanced; None for none."""
        return self.balance or (None if self.hold_out is not None else label_of)

    def grouped(self, facts: Sequence[Facts]) -> list[Facts]:
        """Photos with the key that is held out as their group; anything else as it is."""
        hold_out = self.hold_out
        if hold_out is None:
            return list(facts)
        return [
            replace(fact, group=key) if fact.source == "photo" and (key := hold_out(fact)) is not None else fact
            for fact in facts
        ]

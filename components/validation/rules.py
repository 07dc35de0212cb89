"""What a workload says of its data: how photos are dealt, what is asked of them, what else must be true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from components.core.manifest import Split
from components.core.samples import one_an_image
from components.validation.config import ValidationConfig
from components.validation.facts import Facts
from components.validation.suites import Check

Question = Mapping[str, Any]  # a row of core/samples.py; `images` and `truth` are needed
Asked = Mapping[Split, pa.Table | Sequence[Question]]
Key = Callable[[Facts], str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a workload finds beside what is checked of any images: checks with the rows that they read, by frame.

    `metrics` join the stage's, `files` are written into its folder as JSON, `classes` are rows for the page's table.
    """

    checks: tuple[Check, ...] = ()
    frames: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    classes: Sequence[Mapping[str, Any]] = ()


def ask_each(photos: Mapping[Split, Path]) -> Asked:
    """Each photo is a question by itself, its label the truth."""
    return {split: one_an_image(folder) for split, folder in photos.items()}


def label_of(photo: Facts) -> str | None:
    """Its label."""
    return photo.label


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How a workload wants its photos dealt and what it asks of them.

    With `hold_out` all photos of one key (a person, a supplier, a video) are one group, named by it, and so stand in
    one split: models are judged on keys that training never saw. Photos without a key go by themselves. `balance` is
    the key whose values all come into every split, as far as there are groups enough; None: by none, which is meant
    for keys that are held out. `ask` gives the questions of each split once the photos are dealt.
    """

    hold_out: Key | None = None
    balance: Key | None = label_of
    ask: Callable[[Mapping[Split, Path]], Asked] = ask_each
    examine: Callable[[Any, ValidationConfig], Examined] | None = None

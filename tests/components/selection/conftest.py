"""Small verdict tables, drawn: champion and candidate on certify and search, with planted flips."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.core import verdicts
from components.selection.gate.evidence import Evidence, Pair
from components.selection.ledger.ledger import Ledger

OLD, NEW = "0" * 64, "a" * 64


def table(
    verdict: Sequence[int],
    *,
    prefix: str = "s",
    model: str | None = NEW,
    slices: dict[str, Sequence[str | None]] | None = None,
) -> pa.Table:
    """A verdict table; ids count up, right answers are `x`, wrong ones `y`."""
    columns: dict[str, object] = {
        "sample_id": [f"{prefix}{index:05d}" for index in range(len(verdict))],
        "verdict": list(verdict),
        "score": np.linspace(0.1, 0.9, max(len(verdict), 1))[: len(verdict)].tolist(),
        "prediction": ["x" if one == 1 else "y" for one in verdict],
    }
    made = pa.table({**columns, **(slices or {})})
    return verdicts.stamp(made, model=model, dataset="d" * 64) if model is not None else made


def pair(
    n: int, flips: int, gains: int = 0, *, prefix: str = "s", slices: dict[str, Sequence[str | None]] | None = None
) -> Pair:
    """`n` samples, the last tenth wrong before; the first `flips` break, the first `gains` wrong ones get right."""
    old = np.ones(n, int)
    old[n - n // 10 :] = 0
    new = old.copy()
    new[:flips] = 0
    new[n - n // 10 : n - n // 10 + gains] = 1
    make = {"prefix": prefix, "slices": slices}
    return Pair(old=table(old, model=OLD, **make), new=table(new, **make))


@pytest.fixture
def make_table() -> Callable[..., pa.Table]:
    return table


@pytest.fixture
def make_pair() -> Callable[..., Pair]:
    return pair


@pytest.fixture
def make_evidence() -> Callable[..., Evidence]:
    def make(certify: Pair, search: Pair | None = None, **other: object) -> Evidence:
        digests = {"candidate_digest": NEW, "champion_digest": OLD, **other}
        return Evidence(candidate="candidate", certify=certify, search=search, **digests)  # type: ignore[arg-type]

    return make


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "home" / "certify.jsonl", tmp_path / "data" / "certify.ledger.json")

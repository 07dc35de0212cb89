"""Lives of the whole gate, its ledger in the journal, on SQLite and PostgreSQL: how often wrong, at what cost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import click
import numpy as np
import pyarrow as pa

from components.core import verdicts
from components.promotion.journal import Journal
from components.promotion.looks import JournalStore
from components.selection.gate.evidence import Evidence, Pair
from components.selection.gate.gate import decide
from components.selection.gate.policy import Policy
from components.selection.ledger.ledger import Ledger
from tests.benchmarks.certification.lifetimes import share_upper
from tests.benchmarks.figures import SHORT, Figure
from tests.components.promotion.stores import DEFAULT_POSTGRES, answers, own_schema

LIVES, LOOKS, N = (30 if SHORT else 200), 3, 300
POLICY = Policy(limit=0.05, improvement={"rule": "none"}, spending={"planned_looks": LOOKS})


def figures() -> Iterator[Figure]:
    """Every candidate exactly at the limit; each life is a catalogue of its own in one journal."""
    with ExitStack() as stack, tempfile.TemporaryDirectory() as folder:
        urls = {"SQLite": f"sqlite:///{folder}/journal.db"}
        if answers(DEFAULT_POSTGRES):
            urls["PostgreSQL"] = stack.enter_context(own_schema(DEFAULT_POSTGRES))
        else:
            click.echo("  no PostgreSQL answers here")
        for name, url in urls.items():
            wrong, seconds = _live(url, Path(folder) / name)
            yield Figure(
                name=f"wrong lives of the whole gate, ledger in {name}, {LOOKS} looks at the limit",
                value=wrong,
                goal="at most 5%",
                met=wrong <= 0.05 if not SHORT else None,
                seeds=[0],
                spread=f"{LIVES} lives, 99% bound {share_upper(wrong, LIVES):.1%}; {1000 * seconds:.0f} ms a look",
            )


def _live(url: str, home: Path) -> tuple[float, float]:
    rng = np.random.default_rng(0)
    journal = Journal.open(url, home=home)
    wrong, started = 0, time.perf_counter()
    for life in range(LIVES):
        store = JournalStore(journal, workload="bench", catalog=str(life), actor="bench")
        ledger = Ledger(store, home / f"{life}.json")
        asked = (decide(_at_the_limit(look, rng), POLICY, ledger=ledger).outcome for look in range(LOOKS))
        wrong += any(outcome == "PROMOTE" for outcome in asked)
    seconds = (time.perf_counter() - started) / (LIVES * LOOKS)
    journal.close()
    return wrong / LIVES, seconds


def _at_the_limit(look: int, rng: np.random.Generator) -> Evidence:
    old, new = np.ones(N, int), (rng.random(N) >= POLICY.limit).astype(int)
    tables = [_table(verdict, model) for verdict, model in ((old, "old"), (new, f"new {look}"))]
    pair = Pair(old=tables[0], new=tables[1])
    return Evidence(candidate=f"new {look}", candidate_digest=f"new {look}", champion_digest="old", certify=pair)


def _table(verdict: np.ndarray, model: str) -> pa.Table:
    columns = {
        "sample_id": [f"s{index}" for index in range(N)],
        "verdict": verdict,
        "score": np.full(N, 0.5, np.float32),
        "prediction": ["x"] * N,
    }
    return verdicts.stamp(pa.table(columns), model=model, dataset="d")

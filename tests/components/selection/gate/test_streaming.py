from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.core.errors import DataError
from components.selection import comparison
from components.selection.gate import flips, streaming
from components.selection.gate.policy import Policy
from components.selection.gate.streaming import tally_files


def tables(n: int = 5000) -> tuple[pa.Table, pa.Table]:
    rng = np.random.default_rng(0)
    made = []
    for seed in (1, 2):
        verdict = np.random.default_rng(seed).choice([-1, 0, 1, 1, 1], n)
        ids = [f"{index:06d}" for index in range(n)]
        made.append(pa.table({"sample_id": ids, "verdict": verdict, "score": np.full(n, 0.5), "prediction": ["x"] * n}))
    values = pa.array(rng.choice(["u", "v", "w"], n), mask=rng.random(n) < 0.1)
    return made[0].append_column("s_a", values), made[1].append_column("s_a", values).append_column(
        "s_b", pa.array(rng.choice(["p", "q"], n))
    )


def write(folder: Path, old: pa.Table, new: pa.Table) -> tuple[Path, Path]:
    paths = folder / "old.parquet", folder / "new.parquet"
    pq.write_table(old, paths[0], row_group_size=700)
    pq.write_table(new, paths[1], row_group_size=1100)
    return paths


@pytest.mark.parametrize("batch_rows", [64, 1000, 1 << 19])
def test_a_stream_counts_what_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_rows: int) -> None:
    monkeypatch.setattr(streaming, "_BATCH_ROWS", batch_rows)
    old, new = tables()
    rows = flips.join(old, new, name="t")
    whole = flips.merge([flips.tally(rows, ["s_a", "s_b"], [("s_a", "s_b")])])
    found = tally_files(*write(tmp_path, old, new), None, [("s_a", "s_b")])
    assert (found.tally.total == whole.total).all()
    assert found.tally.columns.keys() == whole.columns.keys()
    for name, cells in whole.columns.items():
        assert found.tally.columns[name].values == cells.values
        assert (found.tally.columns[name].counts == cells.counts).all()
    broken = rows.ids.filter((rows.old == 1) & (rows.new != 1)).to_pylist()
    assert found.negative_ids == tuple(broken[: len(found.negative_ids)])
    assert len(found.negative_ids) == min(len(broken), streaming._MAX_IDS)


def plant(fault: str, old: pa.Table, new: pa.Table) -> tuple[pa.Table, pa.Table]:  # noqa: PLR0911
    ids = new["sample_id"].to_pylist()
    match fault:
        case "other id":
            ids[4321] = "004321x"
        case "repeat":
            ids[3000] = ids[2999]
            old = old.set_column(0, "sample_id", pa.array(ids))
        case "order":
            ids[10], ids[11] = ids[11], ids[10]
            old = old.set_column(0, "sample_id", pa.array(ids))
        case "length":
            return old, new.slice(1)
        case "verdict":
            return old, new.set_column(1, "verdict", pa.array([7] * len(new)))
        case "nan":
            return old, new.set_column(2, "score", pa.array([float("nan")] * len(new)))
        case "slice":
            return old, new.set_column(new.column_names.index("s_a"), "s_a", pa.array(["u"] * len(new)))
        case "column":
            return old, new.drop_columns(["verdict"])
        case "type":
            return old, new.set_column(0, "sample_id", pa.array(range(len(new))))
    return old, new.set_column(0, "sample_id", pa.array(ids))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("other id", "004321 against 004321x"),
        ("repeat", "repeat or are not sorted"),
        ("order", "repeat or are not sorted"),
        ("length", "has 5000 samples and .* has 4999"),
        ("verdict", "not among 1, 0 and -1"),
        ("nan", "NaN"),
        ("slice", "must not depend on the model"),
        ("column", "are missing"),
        ("type", "use text"),
    ],
)
def test_planted_faults_are_refused(tmp_path: Path, fault: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "_BATCH_ROWS", 1000)
    with pytest.raises(DataError, match=words):
        tally_files(*write(tmp_path, *plant(fault, *tables())), None)


def test_no_rows_and_unknown_columns_are_refused(tmp_path: Path) -> None:
    old, new = tables()
    with pytest.raises(DataError, match="no rows"):
        tally_files(*write(tmp_path, old.slice(0, 0), new.slice(0, 0)), None)
    with pytest.raises(DataError, match="'s_z' is not in the verdict tables"):
        tally_files(*write(tmp_path, old, new), ["s_z"])


def test_compare_decides_the_same_from_a_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = tables()
    policy = Policy(limit=0.3, slices={"columns": ["s_b"], "limit": 0.4}, improvement={"rule": "none"})
    paths = write(tmp_path, old, new)
    whole = comparison.compare(*paths, policy=policy, out=tmp_path / "whole").decision
    monkeypatch.setattr(comparison, "STREAM_ROWS", 100)
    streamed = comparison.compare(*paths, policy=policy, out=tmp_path / "streamed").decision
    assert (streamed.outcome, streamed.counts, streamed.checks, streamed.slices, streamed.paired) == (
        whole.outcome, whole.counts, whole.checks, whole.slices, whole.paired,
    )  # fmt: skip
    assert whole.outcome == "PROMOTE"

"""How fast two long verdict tables are compared: the gate's stream, DuckDB and pandas on the same files."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUM_COLUMNS = 20
_CHUNK = 1 << 20
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock, seconds of all cores together, peak memory in GB."""

    wall_s: float
    core_s: float
    peak_gb: float


def write_tables(folder: Path, num_rows: int) -> tuple[Path, Path]:
    """Two sorted verdict tables of 32-digit ids and 20 slice columns of 4 to 23 values."""
    paths = folder / "old.parquet", folder / "new.parquet"
    rng = np.random.default_rng(0)
    names = [pa.array([f"value-{i}" for i in range(4 + column)]) for column in range(NUM_COLUMNS)]
    schema = pa.schema(
        [("sample_id", pa.string()), ("verdict", pa.int8()), ("score", pa.float32())]
        + [(f"s_{column:02d}", pa.dictionary(pa.int8(), pa.string())) for column in range(NUM_COLUMNS)]
    )
    options = {"compression": "zstd", "use_dictionary": schema.names[1:], "write_statistics": False}
    with pq.ParquetWriter(paths[0], schema, **options) as old, pq.ParquetWriter(paths[1], schema, **options) as new:
        for start in range(0, num_rows, _CHUNK):
            size = min(_CHUNK, num_rows - start)
            ids = _ids(start, size, rng)
            was = rng.random(size) < 0.9
            now = was ^ (rng.random(size) < 0.01)
            slices = [
                pa.DictionaryArray.from_arrays(pa.array(rng.integers(0, len(name), size), pa.int8()), name)
                for name in names
            ]
            for writer, verdict in ((old, was), (new, now)):
                score = pa.array((rng.integers(0, 256, size) / 255).astype(np.float32))
                columns = [ids, pa.array(verdict.astype(np.int8)), score, *slices]
                writer.write_table(pa.table(columns, schema=schema))
    return paths


def _ids(start: int, size: int, rng: np.random.Generator) -> pa.Array:
    """Sorted ids: 12 digits that count, 20 random ones."""
    digits = np.empty((size, 32), np.uint8)
    numbers = np.arange(start, start + size)
    for place in range(12):
        digits[:, place] = _HEX[(numbers >> (4 * (11 - place))) & 15]
    digits[:, 12:] = _HEX[rng.integers(0, 16, (size, 20), dtype=np.uint8)]
    offsets = pa.array(np.arange(0, 32 * size + 1, 32, dtype=np.int32))
    return pa.StringArray.from_buffers(size, offsets.buffers()[1], pa.py_buffer(digits.tobytes()))


def measure(tool: str, folder: Path) -> Cost:
    """What one tool takes, in a process of its own on two threads."""
    code = [sys.executable, "-m", "tests.benchmarks.certification.scale", tool, str(folder)]
    output = subprocess.run(
        code, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "2"}
    )
    wall_s, core_s, peak_gb = (float(figure) for figure in output.stdout.split())
    return Cost(wall_s=wall_s, core_s=core_s, peak_gb=peak_gb)


def run_gate(old: Path, new: Path) -> None:
    """The gate itself, decision and report included."""
    from components.selection.comparison import compare
    from components.selection.gate.policy import Policy

    compare(old, new, policy=Policy(), out=old.parent / "out")


def run_duckdb(old: Path, new: Path) -> None:
    """The same counts by a join and one grouping a column."""
    import duckdb

    connection = duckdb.connect()
    connection.execute("set threads = 2")
    columns = ", ".join(f"n.s_{column:02d}" for column in range(NUM_COLUMNS))
    source = f"select o.verdict a, n.verdict b, {columns} from '{old}' o join '{new}' n using (sample_id)"
    groups = ", ".join(f"(s_{column:02d})" for column in range(NUM_COLUMNS))
    connection.execute(
        f"select count(*), sum((a = 1 and b <> 1)::int) from ({source}) group by grouping sets ({groups})"
    ).fetchall()


def run_pandas(old: Path, new: Path) -> None:
    """The same counts by a merge and one grouping a column."""
    import pandas as pd

    columns = [f"s_{column:02d}" for column in range(NUM_COLUMNS)]
    left = pd.read_parquet(old, columns=["sample_id", "verdict"])
    right = pd.read_parquet(new, columns=["sample_id", "verdict", *columns])
    merged = left.merge(right, on="sample_id", validate="one_to_one")
    merged["flip"] = (merged["verdict_x"] == 1) & (merged["verdict_y"] != 1)
    for column in columns:
        merged.groupby(column, observed=True)["flip"].agg(["size", "sum"])


def decide_small(num_rows: int = 10_000) -> float:
    """Seconds for one open decision on tables in memory, with two slice columns."""
    from components.core import verdicts
    from components.selection.gate import gate
    from components.selection.gate.evidence import Evidence, Pair
    from components.selection.gate.policy import Policy

    rng = np.random.default_rng(0)
    was = rng.random(num_rows) < 0.9
    tables = []
    for model, verdict in (("old", was), ("new", was ^ (rng.random(num_rows) < 0.005))):
        columns = {
            "sample_id": [f"{index:08d}" for index in range(num_rows)],
            "verdict": verdict.astype(np.int8),
            "score": np.full(num_rows, 0.5, np.float32),
            "prediction": [f"class {index % 100}" for index in range(num_rows)],
            "s_class": [f"class {index % 100}" for index in range(num_rows)],
            "s_light": [f"light {index % 7}" for index in range(num_rows)],
        }
        tables.append(verdicts.stamp(pa.table(columns), model=model, dataset="d"))
    pair = Pair(old=tables[0], new=tables[1])
    evidence = Evidence(candidate="new", candidate_digest="new", champion_digest="old", certify=pair)
    started = time.perf_counter()
    gate.decide(evidence, Policy(mode="open"), ledger=None)
    return time.perf_counter() - started


def main() -> None:
    """Run one tool and print its seconds on the clock, those of the cores, and its peak memory in GB."""
    tool, folder = sys.argv[1], Path(sys.argv[2])
    pa.set_cpu_count(2)
    started = time.perf_counter()
    {"gate": run_gate, "duckdb": run_duckdb, "pandas": run_pandas}[tool](folder / "old.parquet", folder / "new.parquet")
    seconds = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    sys.stdout.write(f"{seconds:.3f} {used.ru_utime + used.ru_stime:.3f} {used.ru_maxrss / 1e6:.3f}\n")


if __name__ == "__main__":
    main()

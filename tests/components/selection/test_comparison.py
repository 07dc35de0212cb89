from __future__ import annotations

from pathlib import Path

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from components.core.decisions import Decision
from components.core.errors import DataError, SourceError
from components.selection.comparison import compare, read_table
from components.selection.gate.policy import Policy


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_two_bare_tables_are_one_open_look(tmp_path: Path, make_pair, kind: str) -> None:
    pair = make_pair(2000, 4, 10, slices={"s_class": ["01", "02"] * 1000})
    paths = tmp_path / f"old.{kind}", tmp_path / f"new.{kind}"
    for table, path in zip((pair.old, pair.new), paths, strict=True):
        bare = table.replace_schema_metadata(None)
        pq.write_table(bare, path) if kind == "parquet" else pa_csv.write_csv(bare, path)
    made = compare(*paths, policy=Policy(), out=tmp_path / "out")
    decision = made.decision
    assert (decision.outcome, decision.mode, decision.shown_split) == ("PROMOTE", "open", "certify")
    assert Decision.from_json(made.decision_path.read_text(encoding="utf-8")) == decision
    assert [row.value for row in decision.slices] == ["01", "02"]
    assert decision.budget is not None and (decision.budget.level, decision.budget.left) == (0.05, 0.0)
    assert any("second look" in note for note in decision.notes)
    assert "s_class = 01" in made.report_path.read_text()


def test_with_a_ledger_the_tables_are_sealed_and_charged(tmp_path: Path, make_pair, ledger) -> None:
    pair = make_pair(2000, 4, 10)
    paths = tmp_path / "old.parquet", tmp_path / "new.parquet"
    for table, path in zip((pair.old, pair.new), paths, strict=True):
        pq.write_table(table, path)
    made = compare(*paths, policy=Policy(), out=tmp_path / "out", ledger=ledger)
    assert (made.decision.outcome, made.decision.shown_split, made.decision.counts) == ("PROMOTE", "none", None)
    assert "s00000" not in made.report_path.read_text()
    assert compare(*paths, policy=Policy(), out=tmp_path / "out", ledger=ledger).decision.budget.recorded
    assert len(ledger.looks()) == 1


def test_a_table_of_ids_and_verdicts_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "other-tool.csv"
    path.write_text("sample_id,verdict\n007,1\n008,0\n")
    table = read_table(path)
    assert table["sample_id"].to_pylist() == ["007", "008"]
    made = compare(
        path, path, policy=Policy(limit=0.9, improvement={"rule": "none"}, slices={"min_n": 1}), out=tmp_path
    )
    assert made.decision.counts is not None and made.decision.counts.negative_flips == 0


@pytest.mark.parametrize(("name", "content"), [("a.parquet", b"not parquet"), ("a.csv", b""), ("a.csv", b'a,b\n"')])
def test_files_that_are_no_tables_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((SourceError, DataError), match=r"a\.(csv|parquet)|columns"):
        compare(path, path, policy=Policy(), out=tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is no file"):
        compare(tmp_path / "none.csv", tmp_path / "none.csv", policy=Policy(), out=tmp_path)

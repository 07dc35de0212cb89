from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.core import verdicts
from components.core.errors import DataError


def table(**changes: object) -> pa.Table:
    columns = {
        "sample_id": ["b", "a"],
        "verdict": [1, 0],
        "score": [0.5, 0.25],
        "prediction": ["x", "y"],
        "s_c": ["u", None],
    }
    return pa.table({**columns, **changes})


def test_write_sorts_types_and_keeps_the_stamp(tmp_path: Path) -> None:
    path = tmp_path / "verdicts.parquet"
    verdicts.write(path, verdicts.stamp(table(), model="m", dataset="d"))
    read = verdicts.read(path)
    assert read["sample_id"].to_pylist() == ["a", "b"]
    assert read["verdict"].type == pa.int8()
    assert verdicts.read_stamp(read) == verdicts.Stamp(model="m", dataset="d")
    assert verdicts.read_stamp(table()) == verdicts.Stamp()


def test_slices_become_text_and_other_columns_go() -> None:
    checked = verdicts.check(table(s_n=[1, 2], other=[1, 2]), name="t")
    assert checked.column_names == ["sample_id", "verdict", "score", "prediction", "s_c", "s_n"]
    assert checked["s_n"].to_pylist() == ["2", "1"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": [1, 2]}, r"verdicts \[2\]"),
        ({"verdict": [1, None]}, "1 empty values in 'verdict'"),
        ({"verdict": ["right", "wrong"]}, "'verdict' is not int8"),
        ({"score": [float("nan"), 0.1]}, "NaN in 'score'"),
        ({"sample_id": ["a", "a"]}, "1 duplicate ids, first 'a'"),
        ({"s_c": [[1], [2]]}, "'s_c' is not string"),
    ],
)
def test_bad_tables_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(DataError, match=words):
        verdicts.check(table(**changes), name="t")


def test_missing_and_repeated_columns_are_refused() -> None:
    with pytest.raises(DataError, match=r"columns \['score'\] are missing"):
        verdicts.check(table().drop_columns(["score"]), name="t")
    with pytest.raises(DataError, match="more than once"):
        verdicts.check(table().append_column("s_c", pa.array(["u", "v"])), name="t")


def test_long_tables_are_written_in_groups_that_stream(tmp_path: Path) -> None:
    ids = [f"{index:06d}" for index in range(2000)]
    verdicts.write(
        tmp_path / "v.parquet",
        table(sample_id=ids, verdict=[1] * 2000, score=[0.5] * 2000, prediction=["x"] * 2000, s_c=["u"] * 2000),
    )
    assert pq.read_metadata(tmp_path / "v.parquet").num_row_groups == 1

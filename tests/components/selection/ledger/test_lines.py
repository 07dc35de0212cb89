from __future__ import annotations

import os
from pathlib import Path

import pytest

from components.core.errors import IntegrityError
from components.selection.ledger import lines


def test_half_a_row_never_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    lines.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": 2')
    assert lines.read(path) == [{"a": 1}]
    lines.append(path, {"a": 3})
    assert lines.read(path) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("cut", [1, 8, 9, 10, 17])
def test_rows_appended_at_once_are_whole_up_to_where_a_kill_cut_them(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "rows.jsonl"
    lines.append(path, {"a": 1})
    num_before = path.stat().st_size
    lines.append(path, {"a": 2}, {"a": 3})
    with path.open("r+b") as file:
        file.truncate(num_before + cut)
    kept = [{"a": 1}, *([{"a": 2}] if cut >= 9 else [])]
    assert lines.read(path) == kept
    lines.append(path, {"a": 4}, {"a": 5})
    assert lines.read(path) == [*kept, {"a": 4}, {"a": 5}]


def test_many_rows_cost_one_wait_for_the_disk_and_no_reading_of_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.jsonl"
    lines.append(path, {"a": 0})
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    with monkeypatch.context() as unread:
        unread.setattr(Path, "read_bytes", lambda _: pytest.fail("earlier rows were read"))
        lines.append(path, *({"a": number} for number in range(1, 99)))
    assert len(synced) == 1 and [row["a"] for row in lines.read(path)] == list(range(99))


@pytest.mark.parametrize("line", ["[]", "{", "\x00"])
def test_a_rubbish_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(IntegrityError, match="line 2"):
        lines.read(path)

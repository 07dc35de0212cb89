from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import IntegrityError
from components.selection import records


def test_half_a_row_never_counts(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.jsonl"
    records.append(path, {"a": 1})
    with path.open("a") as file:
        file.write('{"a": 2')
    assert records.read(path) == [{"a": 1}]
    records.append(path, {"a": 3})
    assert records.read(path) == [{"a": 1}, {"a": 3}]


@pytest.mark.parametrize("line", ["[]", "{", "\x00"])
def test_a_rubbish_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"a": 1}\n' + line + "\n")
    with pytest.raises(IntegrityError, match="line 2"):
        records.read(path)

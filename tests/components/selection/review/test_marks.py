from __future__ import annotations

from pathlib import Path

import pytest

from components.core.errors import DataError
from components.selection.review.marks import mark, read_marks


def test_marks_are_kept_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "marks.jsonl"
    assert read_marks(path) == frozenset()
    mark(path, "a", split="search", who="kim", why="a mug, not a bowl")
    mark(path, "b", split="replay", who="kim", why="two objects")
    mark(path, "a", split="search", who="lee", why="it is a bowl", verdict="right")
    assert read_marks(path) == {"b"}
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("change", [{"split": "certify"}, {"split": "train"}, {"who": " "}, {"why": ""}])
def test_marks_on_certify_or_without_a_reason_are_refused(tmp_path: Path, change: dict[str, str]) -> None:
    with pytest.raises(DataError):
        mark(tmp_path / "m.jsonl", "a", **{"split": "search", "who": "kim", "why": "wrong", **change})  # type: ignore[arg-type]
    assert not (tmp_path / "m.jsonl").exists()

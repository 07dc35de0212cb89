"""One question an image: the class and every factor become slices, numbers cut where train has its quarters."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core import verdicts
from components.core.manifest import write_shard
from components.workloads.classification.questions import ask_classes


def photos(folder: Path, sizes: list[float | None]) -> Path:
    rows: list[dict[str, Any]] = [
        {
            "sample_id": f"{number:032d}",
            "image": {"bytes": b"", "path": None},
            "label": ("dark", "light")[number % 2],
            "f_light": "dim" if number % 3 else None,
            "f_indoors": number % 2 == 0,
            "f_size": size,
            "f_count": number,
        }
        for number, size in enumerate(sizes)
    ]
    write_shard(folder / "shard-00000.parquet", rows)
    return folder


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, pa.Table]:
    train = [float(number) for number in range(16)]
    return ask_classes(
        {"train": photos(tmp_path / "train", train), "search": photos(tmp_path / "search", [0.5, 99.0, None, 7.4])}
    )


def test_class_words_and_flags_are_slices_as_they_are(asked: dict[str, pa.Table]) -> None:
    table = asked["search"]
    assert verdicts.slice_columns(table) == ["s_class", "s_indoors", "s_light", "s_size"], "a count is no measure"
    assert table["s_class"].to_pylist() == table["truth"].to_pylist() == ["dark", "light", "dark", "light"]
    assert table["s_light"].to_pylist() == [None, "dim", "dim", None]
    assert table["s_indoors"].to_pylist() == ["true", "false", "true", "false"]
    assert table["images"].to_pylist() == [[name] for name in table["sample_id"].to_pylist()]


def test_numbers_fall_into_the_quarters_of_train_on_every_split(asked: dict[str, pa.Table]) -> None:
    counts = Counter(asked["train"]["s_size"].to_pylist())
    assert len(counts) == 4 and set(counts.values()) == {4}
    assert asked["search"]["s_size"].to_pylist() == ["lowest quarter", "highest quarter", None, "second quarter"]


def test_a_number_that_train_never_has_falls_into_quarters_of_its_own(tmp_path: Path) -> None:
    folders = {"train": photos(tmp_path / "train", [None] * 8), "search": photos(tmp_path / "search", [1.0, 2.0, 3.0])}
    asked = ask_classes(folders)
    assert "s_size" not in asked["train"].column_names
    assert asked["search"]["s_size"].to_pylist()[0] == "lowest quarter"
    assert not any(math.isnan(value) for value in asked["search"]["f_size"].to_pylist())

"""A manifest is read as it was written, byte for byte the same each time; what breaks its contract is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core import manifest
from components.core.digests import digest_tree
from components.core.errors import DataError
from components.core.manifest import SCHEMA, ManifestWriter, table_from_rows


def rows(num: int) -> list[dict[str, Any]]:
    return [
        {
            "sample_id": f"{index:032x}",
            "image": {"bytes": bytes([index]), "path": f"{index}.jpg"},
            "label": "a",
            "source": "photo",
            "parents": ["p"],
            "f_azimuth_deg": index / 2,
        }
        for index in range(num)
    ]


def write(folder: Path, items: list[dict[str, Any]], **options: Any) -> Path:
    with ManifestWriter(folder, **options) as writer:
        for item in items:
            writer.write(item)
    return folder


def test_rows_come_back_in_order_over_shards(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", rows(10), rows_per_shard=4)
    assert [path.name for path in manifest.shards(folder)] == [f"shard-0000{k}.parquet" for k in range(3)]
    table = manifest.read(folder)
    assert table["sample_id"].to_pylist() == [row["sample_id"] for row in rows(10)]
    assert table["image"].to_pylist() == [row["image"] for row in rows(10)]
    assert table["f_azimuth_deg"].to_pylist() == [k / 2 for k in range(10)]
    assert table["split"].null_count == 10 and manifest.count(folder) == 10
    batches = list(manifest.stream(folder, ["sample_id"], batch_rows=3))
    assert max(batch.num_rows for batch in batches) <= 3 and sum(batch.num_rows for batch in batches) == 10


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    first, second = (write(tmp_path / name, rows(10), rows_per_shard=4) for name in "ab")
    assert digest_tree(first) == digest_tree(second)


def test_an_empty_manifest_is_one_and_a_missing_one_is_not(tmp_path: Path) -> None:
    assert manifest.read(write(tmp_path / "m", [])).schema.names == SCHEMA.names
    (tmp_path / "no").mkdir()
    with pytest.raises(DataError, match="no manifest at"):
        manifest.read(tmp_path / "no")


def test_a_failed_writer_leaves_no_partial_shard(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), ManifestWriter(tmp_path / "m") as writer:
        writer.write(rows(1)[0])
        raise RuntimeError
    assert list((tmp_path / "m").iterdir()) == []


def test_shards_may_differ_in_factors_but_not_in_types(tmp_path: Path) -> None:
    folder = tmp_path / "m"
    write(folder, rows(2), prefix="a")
    plain = [{key: value for key, value in row.items() if key != "f_azimuth_deg"} for row in rows(2)]
    write(folder, plain, prefix="b")
    assert manifest.read(folder)["f_azimuth_deg"].to_pylist() == [0, 0.5, None, None]
    write(folder, [{**rows(1)[0], "f_azimuth_deg": "north"}], prefix="c")
    with pytest.raises(DataError, match="disagree"):
        manifest.read(folder)


def test_contract_breaks_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"unknown manifest columns \['colour'\]"):
        table_from_rows([{"sample_id": "x", "colour": "red"}])
    pq.write_table(pa.table({"sample_id": ["x"]}), tmp_path / "other.parquet")
    with pytest.raises(DataError, match="is no manifest"):
        manifest.read(tmp_path)


LABELS = st.none() | st.text("a ü\n'\0", max_size=6)


@settings(deadline=None)
@given(st.lists(st.fixed_dictionaries({"sample_id": st.text("0123", max_size=4), "label": LABELS}), max_size=5))
def test_any_label_survives_the_table(items: list[dict[str, Any]]) -> None:
    table = table_from_rows(items)
    assert table.select(["sample_id", "label"]).to_pylist() == items
    assert table.schema == SCHEMA

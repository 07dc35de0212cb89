"""A question about some images: its id, its table, and the images that it names."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core import samples
from components.core.errors import DataError
from components.core.manifest import ManifestWriter
from components.core.samples import SampleSet, question_id

IDS = [f"{number:032x}" for number in range(4)]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    with ManifestWriter(tmp_path / "images", rows_per_shard=2) as writer:
        for number, name in enumerate(IDS):
            row = {
                "sample_id": name,
                "image": {"bytes": b"picture %d" % number, "path": None},
                "label": f"class {number}",
            }
            writer.write(row | {"split": "search", "group": "g", "f_dark": number / 4})
    return tmp_path / "images"


def test_without_a_table_each_image_is_asked_for_its_label(images: Path, tmp_path: Path) -> None:
    asked = SampleSet(images=images, path=tmp_path / "none.parquet")
    table = asked.table()
    assert len(asked) == 4 and table["sample_id"].to_pylist() == IDS
    assert table["images"].to_pylist() == [[name] for name in IDS]
    assert table["truth"].to_pylist() == [f"class {number}" for number in range(4)]
    assert set(table["ask"].to_pylist()) == {""} and table["f_dark"].to_pylist() == [0.0, 0.25, 0.5, 0.75]
    assert asked.reader()(IDS[2]) == [b"picture 2"] and asked.reader()("unknown") == []


def test_a_table_names_its_images_in_order(images: Path, tmp_path: Path) -> None:
    path = tmp_path / "search.parquet"
    pair = [IDS[3], IDS[0]]
    name = question_id(pair, "same?")
    samples.write(
        path, [{"sample_id": name, "images": pair, "ask": "same?", "truth": "different", "s_trial": "impostor"}]
    )
    asked = SampleSet(images=images, path=path)
    assert len(asked) == 1 and asked.table(["truth", "s_trial"]).to_pylist() == [
        {"truth": "different", "s_trial": "impostor"}
    ]
    assert asked.reader()(name) == [b"picture 3", b"picture 0"]
    found = asked.find(name)
    assert found is not None and found["images"] == pair and asked.find(IDS[0]) is None


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"sample_id": "a", "images": ["x"]}, {"sample_id": "a", "images": ["y"]}], "question a stands twice"),
        ([{"sample_id": "a", "images": []}], "1 questions name no image, such as a"),
        ([{"sample_id": "a", "images": ["x"], "colour": "red"}], r"columns \['colour'\], known are"),
    ],
)
def test_tables_that_make_no_sense_are_refused(rows: list[dict[str, object]], told: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=told):
        samples.write(tmp_path / "search.parquet", rows)
    assert not (tmp_path / "search.parquet").exists()


@given(st.lists(st.sampled_from(IDS), min_size=1, max_size=3), st.text(max_size=5))
def test_a_question_is_known_by_its_images_and_by_what_is_asked(pictures: list[str], ask: str) -> None:
    name = question_id(pictures, ask)
    assert (name == pictures[0]) == (len(pictures) == 1 and not ask)
    assert question_id([*pictures, IDS[0]], ask) != name and question_id(pictures, ask + "?") != name
    assert len(name) == 32


def test_equal_questions_are_written_as_equal_bytes(tmp_path: Path) -> None:
    rows = [{"sample_id": name, "images": [name], "ask": "", "truth": "t"} for name in IDS]
    samples.write(tmp_path / "one.parquet", rows)
    samples.write(tmp_path / "two.parquet", rows[::-1])
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    assert pa.parquet.read_table(tmp_path / "one.parquet")["sample_id"].to_pylist() == IDS

"""Samples: what is asked. A sample is a question about some images; the manifest stays the store of images.

Parquet, one row a question: `sample_id`, `images` (ids of rows of the manifest), `ask` (JSON, "" where the picture
alone is the question), `truth` (text or JSON), `split`, `group`, `parents`, and any `s_*` (slices), `f_*` (factors) and
`group_*` columns. Where one image is asked one thing the sample's id is the image's id, and the table may be missing:
then each row of the manifest is such a question, with its label as the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from components.core import manifest
from components.core.digests import SAMPLE_ID_LENGTH, digest_json
from components.core.errors import DataError
from components.core.files import atomic_path

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("images", pa.list_(pa.string())),
        ("ask", pa.string()),
        ("truth", pa.string()),
        ("split", pa.string()),
        ("group", pa.string()),
        ("parents", pa.list_(pa.string())),
    ]
)
Images = Callable[[str], list[bytes]]
_PREFIXES = ("s_", "f_", "group_")


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """The questions of one split: `images` is the folder of their manifest, `path` their table, if there is one."""

    images: Path
    path: Path

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All questions in the order of their table; of a manifest without one, a question for each of its rows."""
        if not self.path.is_file():
            found = one_an_image(self.images)
            return found.select(list(columns)) if columns is not None else found
        return pq.read_table(self.path, columns=list(columns) if columns is not None else None)

    def __len__(self) -> int:
        if self.path.is_file():
            return int(pq.read_metadata(self.path).num_rows)
        return manifest.count(self.images) if self.images.is_dir() else 0

    def reader(self) -> Images:
        """Gives the encoded images of a sample by its id, [] for an unknown one; reads row groups, not the split."""
        asked = self.table(["sample_id", "images"])
        images = dict(zip(asked["sample_id"].to_pylist(), asked["images"].to_pylist(), strict=True))
        ids = manifest.read(self.images, ["sample_id"])["sample_id"].to_pylist()
        rows = {name: index for index, name in enumerate(ids)}
        data = manifest.dataset(self.images)

        def read(sample_id: str) -> list[bytes]:
            wanted = [rows[name] for name in images.get(sample_id, ()) if name in rows]
            if not wanted:
                return []
            found = data.take(wanted, columns=["image"]).column("image").to_pylist()
            return [image["bytes"] for image in found]

        return read

    def encoded(self) -> list[list[bytes]]:
        """The encoded images of every question, in the order of `table`; the whole split in memory.

        DataError names an image that a question asks about and the manifest does not hold.
        """
        found = manifest.read(self.images, ["sample_id", "image"])
        held = dict(zip(found["sample_id"].to_pylist(), found["image"].to_pylist(), strict=True))
        asked = self.table(["images"])["images"].to_pylist()
        missing = next((name for images in asked for name in images if name not in held), None)
        if missing is not None:
            raise DataError(f"{self.path} asks about image {missing}, which is not in {self.images}; run validation")
        return [[held[name]["bytes"] for name in images] for images in asked]

    def find(self, sample_id: str) -> dict[str, Any] | None:
        """The row of a question; None where there is no such one."""
        import pyarrow.compute as pc

        table = self.table()
        found = table.filter(pc.equal(table["sample_id"], sample_id)).to_pylist()
        return found[0] if found else None


def question_id(images: Sequence[str], ask: str = "") -> str:
    """The id of a question: the image's own where one image is asked one thing, else a digest of images and ask."""
    if len(images) == 1 and not ask:
        return images[0]
    return digest_json({"images": list(images), "ask": ask})[:SAMPLE_ID_LENGTH]


def write(path: Path, rows: Sequence[Mapping[str, Any]] | pa.Table) -> None:
    """Write the questions of a split atomically, sorted by id; missing columns become null.

    Rows have the columns of SCHEMA and any `s_*`, `f_*`, `group_*`; DataError names ids that stand there twice, an
    unknown column, and a question without images.
    """
    table = table_of(rows)
    strange = [name for name in table.column_names if name not in SCHEMA.names and not name.startswith(_PREFIXES)]
    if strange:
        raise DataError(f"samples have columns {strange}, known are {SCHEMA.names} and s_*, f_*, group_*")
    table = table.sort_by("sample_id")
    ids = table["sample_id"].to_pylist()
    twice = next((first for first, second in pairwise(ids) if first == second), None)
    if twice is not None:
        raise DataError(f"question {twice} stands twice among the samples for {path.stem}: ask it once")
    empty = [name for name, images in zip(ids, table["images"].to_pylist(), strict=True) if not images]
    if empty:
        raise DataError(f"{len(empty)} questions name no image, such as {empty[0]}: a sample asks about one at least")
    with atomic_path(path) as partial:
        pq.write_table(table, partial, compression="zstd")


def table_of(rows: Sequence[Mapping[str, Any]] | pa.Table) -> pa.Table:
    """Rows as a table with the columns of SCHEMA and their own; a table with those of SCHEMA that it lacks, as nulls.

    DataError where the values of a column do not go together.
    """
    if not isinstance(rows, pa.Table):
        try:
            return pa.Table.from_pylist([dict(row) for row in rows], schema=_schema_of(rows))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError(f"rows of samples do not go together as a table: {error}") from error
    for field in SCHEMA:
        if field.name not in rows.column_names:
            rows = rows.append_column(field, pa.nulls(rows.num_rows, field.type))
    return rows


def one_an_image(folder: Path) -> pa.Table:
    """A question for each row of a manifest, with its label as the truth and its factors, in its order."""
    schema = manifest.dataset(folder).schema
    factors = [name for name in schema.names if name.startswith("f_")]
    table = manifest.read(folder, ["sample_id", "label", "split", "group", "parents", *factors])
    ids = table["sample_id"].to_pylist()
    columns = {
        "sample_id": table["sample_id"],
        "images": pa.array([[name] for name in ids], pa.list_(pa.string())),
        "ask": pa.array([""] * len(ids), pa.string()),
        "truth": table["label"],
        **{name: table[name] for name in ("split", "group", "parents", *factors)},
    }
    return pa.table(columns)


def _schema_of(rows: Sequence[Mapping[str, Any]]) -> pa.Schema:
    more = dict.fromkeys(name for row in rows for name in row if name not in SCHEMA.names)
    return pa.schema([*SCHEMA, *_fields(rows, list(more))])


def _fields(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Iterator[pa.Field]:
    for name in names:
        yield pa.field(name, pa.array([row.get(name) for row in rows]).type)

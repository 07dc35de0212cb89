"""Takes what a workload asks of each split, completes it, and makes the tables that the checks on questions read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from components.core import manifest
from components.core.errors import DataError
from components.core.manifest import Split
from components.core.samples import question_id, table_of
from components.datasets.duplicates import cluster
from components.validation.frames import as_frames
from components.validation.rules import Ask, Question
from components.validation.suites import Check

if TYPE_CHECKING:
    import pandas as pd

Tables = Mapping[Split, pa.Table]


def ask_questions(ask: Ask, photos: Mapping[Split, Path]) -> dict[Split, pa.Table]:
    """The questions of each split of `photos`, completed: ids, split, and groups where a row names none.

    DataError where `ask` gives questions of an unknown split, or rows without images.
    """
    asked = ask(photos)
    strange = sorted(set(asked) - set(photos))
    if strange:
        raise DataError(f"questions of {strange}: the splits are {list(photos)}; ask of these alone")
    return {split: _complete(asked.get(split, ()), split, folder) for split, folder in photos.items()}


def question_checks() -> list[Check]:
    """The checks on questions, in the order of their codes."""
    return [
        _is("V025", "Every question's id is that of its images and of what is asked.", "id_matches"),
        Check(
            code="V026",
            severity="blocking",
            sentence="No question is asked twice.",
            frame="questions",
            expectation="ExpectColumnValuesToBeUnique",
            arguments={"column": "sample_id"},
        ),
        _is("V027", "Every question has a truth.", "has_truth"),
        _is("V028", "Every image that a question names is a usable photo.", "is_known"),
        _is("V029", "No question names a photo of another split.", "is_of_one_split", is_leak=True),
        Check(
            code="V030",
            severity="blocking",
            sentence="No group of questions stands in two splits.",
            frame="question_groups",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_splits", "max_value": 1},
            is_leak=True,
        ),
        Check(
            code="V031",
            severity="blocking",
            sentence="Something is asked of every split that holds photos (but of the reserve, which waits).",
            frame="asked_splits",
            expectation="ExpectColumnValuesToBeBetween",
            arguments={"column": "num_questions", "min_value": 1},
        ),
    ]


def question_frames(tables: Tables, photos: Mapping[Split, Path]) -> dict[str, pd.DataFrame]:
    """What the checks on questions read: a row a question, a group, a split."""
    places = _places(photos)
    rows: list[dict[str, Any]] = []
    groups: dict[str, set[str]] = defaultdict(set)
    names: dict[str, list[str]] = defaultdict(list)
    for split, table in tables.items():
        columns = ("sample_id", "images", "ask", "truth", "group")
        for found in zip(*(table[name].to_pylist() for name in columns), strict=True):
            row = _row(dict(zip(columns, found, strict=True)), split, places)
            rows.append(row)
            if found[-1] is not None:
                groups[found[-1]].add(split)
                names[found[-1]].append(row["name"])
    spread = [{"name": "; ".join(names[group][:4]), "num_splits": len(found)} for group, found in groups.items()]
    splits = [
        {"name": split, "num_questions": tables[split].num_rows}
        for split in tables
        if split != "reserve" and split in places.values()
    ]
    return as_frames({"questions": rows, "question_groups": spread, "asked_splits": splits})


def _is(code: str, sentence: str, column: str, *, is_leak: bool = False) -> Check:
    return Check(
        code=code,
        severity="blocking",
        sentence=sentence,
        frame="questions",
        expectation="ExpectColumnValuesToBeInSet",
        arguments={"column": column, "value_set": [True]},
        is_leak=is_leak,
    )


def _row(asked: Mapping[str, Any], split: Split, places: Mapping[str, Split]) -> dict[str, Any]:
    images = asked["images"]
    found = ", ".join(f"{image} ({places.get(image, 'nowhere')})" for image in images[:4])
    return {
        "name": f"question {asked['sample_id']} of {split} on {found}",
        "sample_id": asked["sample_id"],
        "id_matches": asked["sample_id"] == question_id(images, asked["ask"] or ""),
        "has_truth": bool(asked["truth"]),
        "is_known": all(image in places for image in images),
        "is_of_one_split": all(places.get(image, split) == split for image in images),
    }


def _places(photos: Mapping[Split, Path]) -> dict[str, Split]:
    return {
        name: split
        for split, folder in photos.items()
        for name in manifest.read(folder, ["sample_id"])["sample_id"].to_pylist()
    }


def _complete(rows: pa.Table | Sequence[Question], split: Split, folder: Path) -> pa.Table:
    if not isinstance(rows, pa.Table):
        rows = _with_groups([_with_id(row, split) for row in rows], folder)
    table = table_of(rows)
    place = table.column_names.index("split")
    table = table.set_column(place, "split", pa.array([split] * table.num_rows, pa.string()))
    empty = pc.fill_null(table["ask"].cast(pa.string()), "")
    return table.set_column(table.column_names.index("ask"), "ask", empty)


def _with_id(row: Question, split: Split) -> dict[str, Any]:
    images = list(row.get("images") or ())
    if not images:
        raise DataError(f"a question of {split} names no image: {dict(row)}; a sample asks about one at least")
    return {"sample_id": question_id(images, row.get("ask") or ""), **row, "images": images}


def _with_groups(rows: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Rows that name no group get that of their images; those that share one, directly or by others, get one."""
    bare = [row for row in rows if "group" not in row]
    known = manifest.read(folder, ["sample_id", "group"]).to_pydict()
    group_of = dict(zip(known["sample_id"], known["group"], strict=True))
    first: dict[str, int] = {}
    held = [{group_of.get(image) or image for image in row["images"]} for row in bare]
    pairs = [(first.setdefault(group, index), index) for index, groups in enumerate(held) for group in groups]
    roots = cluster(len(bare), pairs).tolist() if bare else []
    joined: dict[int, set[str]] = defaultdict(set)
    for root, groups in zip(roots, held, strict=True):
        joined[root] |= groups
    for row, root in zip(bare, roots, strict=True):
        row["group"] = min(joined[root])
    return rows

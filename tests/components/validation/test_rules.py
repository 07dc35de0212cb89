"""Questions about pairs of people whom no other split holds, asked of photos alone; each fault of a question blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from components.core import manifest
from components.core.digests import digest_tree
from components.core.errors import DataError, LeakError
from components.core.manifest import ManifestWriter, Split
from components.core.samples import SampleSet, question_id
from components.validation.config import ValidationConfig
from components.validation.placement import MEMBERS, read_members, write_placement
from components.validation.rules import Asked, Question, Rules
from components.validation.stage import ValidationSummary, validate

CONFIG = ValidationConfig(share_tolerance=1)
DEALT: tuple[Split, ...] = ("train", "search", "certify")


def ask_pairs(photos: Mapping[Split, Path]) -> dict[Split, list[Question]]:
    """Neighbours in each split's list of photos, no photo twice."""
    asked: dict[Split, list[Question]] = {}
    for split, folder in photos.items():
        rows = manifest.read(folder, ["sample_id", "label"]).to_pylist()
        asked[split] = [
            {"images": [a["sample_id"], b["sample_id"]], "truth": "same" if a["label"] == b["label"] else "different"}
            for a, b in zip(rows[::2], rows[1::2], strict=False)
        ]
    return asked


def label_of(photo: Any) -> str | None:
    return str(photo.label) if photo.label is not None else None


PAIRS = Rules(hold_out=label_of, ask=ask_pairs)


@pytest.fixture
def people(tmp_path: Path, draw_image: Callable[..., bytes], make_row: Callable[..., Any]) -> list[dict[str, Any]]:
    """Twelve people, three photos each."""
    return [
        make_row(draw_image(100 * person + shot), f"p{person}-{shot}.png", f"p{person}")
        for person in range(12)
        for shot in range(3)
    ]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., ValidationSummary]:
    def _run(photos: Sequence[dict[str, Any]], rules: Rules = PAIRS, **more: Any) -> ValidationSummary:
        with ManifestWriter(tmp_path / "photos") as writer:
            for row in photos:
                writer.write({"source": "photo", **row})
        page = tmp_path / "page.html"
        return validate({"photo": tmp_path / "photos"}, CONFIG, out=tmp_path / "out", report=page, rules=rules, **more)

    return _run


def people_of(folder: Path, split: str) -> set[str]:
    return set(manifest.read(folder / "photos" / split, ["label"])["label"].to_pylist())


def samples_of(folder: Path, split: str) -> list[dict[str, Any]]:
    path = folder / "samples" / f"{split}.parquet"
    rows: list[dict[str, Any]] = SampleSet(images=folder / "photos" / split, path=path).table().to_pylist()
    return rows


def test_people_are_held_out_whole_and_asked_about_in_pairs(
    run: Callable[..., Any], people: list[dict[str, Any]], tmp_path: Path
) -> None:
    summary = run(people)
    out = tmp_path / "out"
    assert {r.status for r in summary.results} <= {"passed", "not applicable"}
    homes = {split: people_of(out, split) for split in DEALT}
    assert sum(len(found) for found in homes.values()) == 12 and all(homes.values()), "each in one split, none empty"
    for split in DEALT:
        for sample in samples_of(out, split):
            rows = manifest.read(out / "photos" / split).to_pylist()
            labels = [row["label"] for image in sample["images"] for row in rows if row["sample_id"] == image]
            assert sample["truth"] == ("same" if labels[0] == labels[1] else "different")
            assert sample["sample_id"] == question_id(sample["images"]) and sample["split"] == split
    assert not (out / "classes.json").exists() and "Classes" not in (out / "report.html").read_text()


def test_a_group_is_a_person_and_a_pair_joins_two(
    run: Callable[..., Any], people: list[dict[str, Any]], tmp_path: Path
) -> None:
    run(people)
    rows = manifest.read(tmp_path / "out" / "photos" / "train", ["label", "group"]).to_pylist()
    assert all(row["group"] == row["label"] for row in rows)
    samples = samples_of(tmp_path / "out", "train")
    label = {row["sample_id"]: row["label"] for row in people}
    for one, other in pairwise(samples):
        shared = {label[image] for image in one["images"]} & {label[image] for image in other["images"]}
        assert not shared or one["group"] == other["group"]
    assert all(sample["group"] <= min(label[image] for image in sample["images"]) for sample in samples)


def test_a_person_stays_where_she_was_dealt_when_new_photos_of_her_come(
    run: Callable[..., Any],
    people: list[dict[str, Any]],
    draw_image: Callable[..., bytes],
    make_row: Callable[..., Any],
    tmp_path: Path,
) -> None:
    run(people)
    homes = {person: split for split in DEALT for person in people_of(tmp_path / "out", split)}
    first = digest_tree(tmp_path / "out")
    write_placement(tmp_path / "memory", read_members(tmp_path / "out" / MEMBERS))
    run(people, placement=tmp_path / "memory")
    assert digest_tree(tmp_path / "out") == first
    new = [make_row(draw_image(5000 + person), f"new{person}.png", f"p{person}") for person in range(12)]
    run([*people, *new], placement=tmp_path / "memory")
    assert {person: split for split in DEALT for person in people_of(tmp_path / "out", split)} == homes


def crossing(photos: Mapping[Split, Path]) -> Asked:
    """One pair of train and certify, among sound ones."""
    asked = ask_pairs(photos)
    lent = manifest.read(photos["train"], ["sample_id"])["sample_id"][0].as_py()
    (first, *rest) = asked["certify"]
    return {**asked, "certify": [{**first, "images": [first["images"][0], lent]}, *rest]}


def changed(**changes: Any) -> Callable[[Mapping[Split, Path]], Asked]:
    """Sound pairs, the first of search with changes."""

    def ask(photos: Mapping[Split, Path]) -> Asked:
        asked = ask_pairs(photos)
        return {**asked, "search": [{**asked["search"][0], **changes}, *asked["search"][1:]]}

    return ask


def twice(photos: Mapping[Split, Path]) -> Asked:
    asked = ask_pairs(photos)
    return {**asked, "search": [*asked["search"], asked["search"][0]]}


def nothing_of_certify(photos: Mapping[Split, Path]) -> Asked:
    return {**ask_pairs(photos), "certify": []}


def one_group(photos: Mapping[Split, Path]) -> Asked:
    asked = ask_pairs(photos)
    return {split: [{**row, "group": "all"} for row in rows] for split, rows in asked.items()}


@pytest.mark.parametrize(
    ("ask", "code", "is_leak"),
    [
        (changed(sample_id="0" * 32), "V025", False),
        (twice, "V026", False),
        (changed(truth=None), "V027", False),
        (changed(images=["f" * 32, "e" * 32]), "V028", False),
        (crossing, "V029", True),
        (one_group, "V030", True),
        (nothing_of_certify, "V031", False),
    ],
)
def test_a_fault_of_a_question_blocks_and_is_named(
    run: Callable[..., Any], people: list[dict[str, Any]], tmp_path: Path, ask: Any, code: str, is_leak: bool
) -> None:
    with pytest.raises(DataError) as caught:
        run(people, Rules(hold_out=label_of, ask=ask))
    assert f"{code} " in str(caught.value) and isinstance(caught.value, LeakError) == is_leak
    assert not (tmp_path / "out").exists() and code in (tmp_path / "page.html").read_text()
    if code == "V029":
        assert "question " in str(caught.value) and "(train)" in str(caught.value)


def test_questions_that_are_none_are_refused_with_the_row(
    run: Callable[..., Any], people: list[dict[str, Any]]
) -> None:
    with pytest.raises(DataError, match=r"a question of search names no image: .*'truth'"):
        run(people, Rules(hold_out=label_of, ask=changed(images=[])))
    with pytest.raises(DataError, match=r"questions of \['probe'\]"):
        run(people, Rules(hold_out=label_of, ask=lambda photos: {"probe": []}))  # type: ignore[dict-item]


def test_without_rules_each_photo_is_asked_for_its_label_and_labels_come_into_every_split(
    run: Callable[..., Any], people: list[dict[str, Any]], tmp_path: Path
) -> None:
    run(people, Rules())
    assert all(len(people_of(tmp_path / "out", split)) == 12 for split in DEALT)
    assert all(sample["images"] == [sample["sample_id"]] for sample in samples_of(tmp_path / "out", "certify"))

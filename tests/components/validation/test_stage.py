"""A drawn data set with one fault of each kind, by the rules of products: each is named, and what must block does."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from components.core import manifest
from components.core.digests import digest_tree, sample_id
from components.core.errors import DataError, LeakError
from components.core.manifest import Source
from components.core.samples import SampleSet
from components.validation.config import SplitShares, ValidationConfig
from components.validation.placement import MEMBERS, merge, read_members, read_placement, write_placement
from components.validation.retirement import set_aside
from components.validation.stage import ValidationSummary, validate
from components.workloads.classification.checks import rules

Sources = dict[Source, Path]
Rows = dict[str, list[dict[str, Any]]]
Draw = Callable[..., bytes]
MakeRow = Callable[..., dict[str, Any]]
WriteShop = Callable[[Rows], Sources]
CONFIG = ValidationConfig(max_quarantined_share=0.25, split_seed=1)


@pytest.fixture
def run(tmp_path: Path, write_shop: WriteShop) -> Callable[..., ValidationSummary]:
    def _run(rows: Rows, config: ValidationConfig = CONFIG) -> ValidationSummary:
        sources = write_shop(rows)
        return validate(sources, config, out=tmp_path / "out", report=tmp_path / "report.html", rules=rules())

    return _run


def encode(image: Image.Image, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind)
    return buffer.getvalue()


def statuses(summary: ValidationSummary) -> dict[str, str]:
    return {result.check.code: result.status for result in summary.results}


def test_a_sound_data_set_passes_every_check(run: Callable[..., Any], drawn_shop: Rows, tmp_path: Path) -> None:
    summary = run(drawn_shop)
    assert set(statuses(summary).values()) == {"passed", "not applicable"}
    assert [code for code, status in statuses(summary).items() if status == "not applicable"] == [
        *("V015", "V024")  # no series, no split of the user's own
    ]
    out = tmp_path / "out"
    assert json.loads((out / "classes.json").read_text()) == ["cup", "lamp", "sofa"]
    dealt = {name: manifest.read(out / "photos" / name).to_pylist() for name in ("train", "search", "certify")}
    assert sum(len(rows) for rows in dealt.values()) == 60
    assert all(row["split"] == name and row["group"] for name, rows in dealt.items() for row in rows)
    assert {(row["width_px"], row["height_px"]) for rows in dealt.values() for row in rows} == {(96, 80)}
    for name, rows in dealt.items():
        asked = SampleSet(images=out / "photos" / name, path=out / "samples" / f"{name}.parquet").table().to_pylist()
        assert {(q["sample_id"], *q["images"], q["truth"], q["group"], q["split"], q["s_class"]) for q in asked} == {
            (row["sample_id"], row["sample_id"], row["label"], row["group"], name, row["label"]) for row in rows
        }
    assert manifest.count(out / "catalog") == 3 and manifest.count(out / "backgrounds") == 6
    assert summary.metrics["num_train"] == len(dealt["train"])


def test_equal_input_gives_equal_bytes(run: Callable[..., Any], drawn_shop: Rows, tmp_path: Path) -> None:
    run(drawn_shop)
    first = digest_tree(tmp_path / "out")
    run(drawn_shop)
    assert digest_tree(tmp_path / "out") == first


def test_each_bad_image_is_quarantined_by_name(
    run: Callable[..., Any], drawn_shop: Rows, draw_image: Draw, make_row: MakeRow, tmp_path: Path
) -> None:
    photo = drawn_shop["photo"]
    planted = {
        "text named.jpg": (b"just text", "unreadable"),
        "empty.jpg": (b"", "unreadable"),
        "cut off.jpg": (draw_image(1, kind="JPEG")[:700], "truncated"),
        "dot.png": (encode(Image.new("RGB", (1, 1))), "too small"),
        "tiny.png": (draw_image(2, size=(12, 60)), "too small"),
        "huge.png": (encode(Image.new("1", (20_000, 20))), "huge"),
        "grey wall.png": (encode(Image.new("RGB", (90, 90), (90, 99, 80))), "blank"),
        "again.png": (photo[0]["image"]["bytes"], "copy"),
    }
    photo += [make_row(data, name, "cup") for name, (data, _) in planted.items()]
    twice = draw_image(77)
    photo += [make_row(twice, "as cup.png", "cup"), make_row(twice, "as lamp.png", "lamp")]
    drawn_shop["background"].append(make_row(b"no", "bad background.jpg", None))
    photo.append(make_row(drawn_shop["catalog"][0]["image"]["bytes"], "the icon.png", "cup"))

    summary = run(drawn_shop)
    expected = {name: kind for name, (_, kind) in planted.items()} | {
        "as cup.png": "two labels",
        "as lamp.png": "two labels",
        "bad background.jpg": "unreadable",
        "the icon.png": "copy",
    }
    assert {item.name: item.kind for item in summary.quarantined} == expected
    assert all(item.reason and item.remedy for item in summary.quarantined)
    assert statuses(summary)["V005"] == "failed"
    page = (tmp_path / "out" / "report.html").read_text()
    assert all(name in page for name in expected) and "data:image/jpeg;base64," in page
    listed = json.loads((tmp_path / "out" / "quarantine.json").read_text())
    assert {item["name"] for item in listed} == set(expected)
    kept = {name for split in ("train", "search", "certify") for name in paths(tmp_path / "out" / "photos" / split)}
    assert kept == {row["image"]["path"] for row in photo} - set(expected)


def paths(folder: Path) -> list[str]:
    return [image["path"] for image in manifest.read(folder, ["image"])["image"].to_pylist()]


def plant_size(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"].append(make(draw(5, size=(40, 40)), "small.png", "cup"))


def plant_aspect(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"].append(make(draw(53, size=(600, 70)), "long.png", "cup"))


def plant_dark(rows: Rows, draw: Draw, make: MakeRow) -> None:
    dark = Image.open(io.BytesIO(draw(54))).point(lambda v: v // 20)
    rows["photo"].append(make(encode(dark), "night.png", "cup"))


def plant_cmyk(rows: Rows, draw: Draw, make: MakeRow) -> None:
    image = Image.open(io.BytesIO(draw(55))).convert("CMYK")
    rows["photo"].append(make(encode(image, "TIFF"), "print.tif", "cup"))


def plant_class_without_photos(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["catalog"].append(make(draw(50), "kettle/icon.png", "kettle"))


def plant_imbalance(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["catalog"].append(make(draw(51), "mug/icon.png", "mug"))
    rows["photo"].append(make(draw(52), "mug/1.png", "mug"))


def plant_near_duplicates_across_labels(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"].append(make(draw(56, kind="JPEG", quality=90), "one.jpg", "cup"))
    rows["photo"].append(make(draw(56, kind="JPEG", quality=40), "other.jpg", "lamp"))


WARNINGS = [
    (plant_size, "V007", "small.png"),
    (plant_aspect, "V008", "long.png"),
    (plant_dark, "V009", "night.png"),
    (plant_cmyk, "V010", "CMYK: print.tif"),
    (plant_class_without_photos, "V012", "kettle"),
    (plant_imbalance, "V013", "mug"),
    (plant_imbalance, "V014", "mug"),
    (plant_imbalance, "V022", "mug"),
    (plant_near_duplicates_across_labels, "V015", "other.jpg (lamp)"),
]


def test_warnings_name_their_faults_and_let_the_run_go_on(
    run: Callable[..., Any], drawn_shop: Rows, draw_image: Draw, make_row: MakeRow
) -> None:
    for plant in dict.fromkeys(plant for plant, _, _ in WARNINGS):
        plant(drawn_shop, draw_image, make_row)
    results = {result.check.code: result for result in run(drawn_shop).results}
    for _, code, example in WARNINGS:
        result = results.pop(code)
        assert result.status == "failed" and result.check.severity == "warning", code
        assert any(example in text for text in result.examples), code
    assert results.pop("V024").status == "not applicable"
    assert {result.status for result in results.values()} == {"passed"}


def break_id(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"][3]["sample_id"] = sample_id(b"other")


def break_label(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"][4]["label"] = None


def break_class(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"].append(make(draw(60), "kayak/1.png", "kayak"))


def break_share(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"] += [make(b"bad %d" % index, f"bad{index}.jpg", "cup") for index in range(40)]


def break_catalogue(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["catalog"] += [make(draw(70 + k), f"mug{k}.png", f"mug{k}") for k in range(5)]
    rows["catalog"].append(make(b"no", "tray.png", "tray"))


def break_half_split(rows: Rows, draw: Draw, make: MakeRow) -> None:
    rows["photo"][0]["split"] = "train"


def break_empty_split(rows: Rows, draw: Draw, make: MakeRow) -> None:
    for index, item in enumerate(rows["photo"]):
        item["split"] = ("train", "search")[index % 2]


BLOCKING = {
    "rows": [
        (break_id, "V001", "cup/03.png"),
        (break_label, "V003", "cup/04.png"),
        (break_class, "V004", "kayak: kayak/1.png"),
        (break_share, "V006", "photo"),
        (break_catalogue, "V011", "tray"),
    ],
    "half a split": [(break_half_split, "V016", "cup/01.png"), (None, "V017", "search")],
    "an empty split": [(break_empty_split, "V017", "certify")],
}


@pytest.mark.parametrize("case", BLOCKING)
def test_blocking_faults_stop_the_run_and_leave_a_report(
    run: Callable[..., Any], drawn_shop: Rows, draw_image: Draw, make_row: MakeRow, tmp_path: Path, case: str
) -> None:
    for plant in filter(None, (plant for plant, _, _ in BLOCKING[case])):
        plant(drawn_shop, draw_image, make_row)
    with pytest.raises(DataError) as caught:
        run(drawn_shop)
    page = (tmp_path / "report.html").read_text()
    assert "Validation: blocked" in page and not isinstance(caught.value, LeakError)
    for _, code, named in BLOCKING[case]:
        sentence = str(caught.value).partition(f"{code} ")[2].partition("; V0")[0]
        assert named in sentence and named in page, code
    assert str(caught.value).count("Broken by") == len(BLOCKING[case])
    assert not (tmp_path / "out").exists()


def own_split(rows: Rows) -> None:
    for index, item in enumerate(rows["photo"]):
        item["split"] = ("train", "train", "train", "search", "certify")[index % 5]


def test_a_users_own_split_is_kept(run: Callable[..., Any], drawn_shop: Rows, tmp_path: Path) -> None:
    own_split(drawn_shop)
    assert run(drawn_shop).metrics["num_certify"] == 12
    wanted = [row["image"]["path"] for row in drawn_shop["photo"] if row["split"] == "certify"]
    assert paths(tmp_path / "out" / "photos" / "certify") == wanted


def test_a_leak_in_a_users_own_split_blocks(
    run: Callable[..., Any], drawn_shop: Rows, draw_image: Draw, make_row: MakeRow
) -> None:
    own_split(drawn_shop)
    photo = drawn_shop["photo"]
    near = [draw_image(5, kind="JPEG", quality=quality) for quality in (90, 40)]
    leaks = {
        "V019 ": [make_row(data, f"q{i}.jpg", "cup", split=("train", "certify")[i]) for i, data in enumerate(near)],
        "q9.png": [make_row(photo[0]["image"]["bytes"], "q9.png", "cup", split="certify")],
        "V020 ": [make_row(draw_image(6), "child.png", "cup", split="certify", parents=[photo[0]["sample_id"]])],
        "g7.png": [
            make_row(draw_image(7), "g7.png", "cup", split="train", group="g"),
            make_row(draw_image(8), "g8.png", "cup", split="search", group="g"),
        ],
    }
    for named, rows in leaks.items():
        with pytest.raises(LeakError) as caught:
            run({**drawn_shop, "photo": photo + rows})
        assert named in str(caught.value)


def test_dealt_splits_keep_near_duplicates_parents_and_groups_together(
    run: Callable[..., Any], drawn_shop: Rows, draw_image: Draw, make_row: MakeRow, tmp_path: Path
) -> None:
    families = []
    for seed in range(12):
        near = [draw_image(300 + seed, kind="JPEG", quality=quality) for quality in (95, 50)]
        family = [make_row(data, f"f{seed}.{i}", "cup") for i, data in enumerate(near)]
        family.append(make_row(draw_image(400 + seed), f"f{seed}.c", "cup", parents=[family[0]["sample_id"]]))
        families.append(family)
    drawn_shop["photo"] += [row for family in families for row in family]
    run(drawn_shop)
    place = {
        name: split for split in ("train", "search", "certify") for name in paths(tmp_path / f"out/photos/{split}")
    }
    homes = [{place[row["image"]["path"]] for row in family} for family in families]
    assert all(len(home) == 1 for home in homes) and len(set.union(*homes)) > 1


def test_without_photos_the_checks_on_them_do_not_apply(
    run: Callable[..., Any], drawn_shop: Rows, tmp_path: Path
) -> None:
    summary = run({**drawn_shop, "photo": [], "background": []})
    found = statuses(summary)
    assert [code for code, status in found.items() if status != "not applicable"] == [
        *("V001", "V002", "V003", "V005", "V006", "V007", "V008", "V010", "V011")
    ]
    assert summary.metrics["num_checks_not_applicable"] == len(found) - 9
    assert manifest.count(tmp_path / "out" / "photos" / "certify") == 0
    assert manifest.count(tmp_path / "out" / "backgrounds") == 0


def remembering(sources: Sources, out: Path, memory: Path, config: ValidationConfig = CONFIG) -> ValidationSummary:
    write_placement(memory, merge(read_placement(memory), read_members(out / MEMBERS)))
    return validate(sources, config, out=out, report=out.with_name("report.html"), rules=rules(), placement=memory)


def test_with_its_own_members_in_memory_it_makes_the_same_again(
    run: Callable[..., Any],
    drawn_shop: Rows,
    draw_image: Draw,
    make_row: MakeRow,
    write_shop: WriteShop,
    tmp_path: Path,
) -> None:
    photo = drawn_shop["photo"]
    photo += [make_row(draw_image(300 + i, kind="JPEG", quality=60), f"n{i}.jpg", "cup") for i in range(4)]
    photo += [make_row(draw_image(300 + i, kind="JPEG", quality=90), f"m{i}.jpg", "cup") for i in range(4)]
    photo += [make_row(draw_image(400 + i), f"g{i}.png", "lamp", group=("shop", "visit")[i % 2]) for i in range(6)]
    twice = draw_image(77)
    photo += [make_row(twice, "as cup.png", "cup"), make_row(twice, "as lamp.png", "lamp")]
    run(drawn_shop)
    first = digest_tree(tmp_path / "out")
    remembering(write_shop(drawn_shop), tmp_path / "out", tmp_path / "memory")
    assert digest_tree(tmp_path / "out") == first
    members = read_members(tmp_path / "out" / MEMBERS)
    assert len(members.photos) == 60 + 14 and members.split_seed == 1
    other = CONFIG.model_copy(update={"split_seed": 2, "shares": SplitShares(train=0.2, search=0.2, certify=0.6)})
    remembering(write_shop(drawn_shop), tmp_path / "out", tmp_path / "memory", other)
    assert read_members(tmp_path / "out" / MEMBERS).photos == members.photos


def test_a_reserve_is_kept_apart_and_missed_by_no_check(
    run: Callable[..., Any], drawn_shop: Rows, tmp_path: Path
) -> None:
    shares = SplitShares(train=0.5, search=0.1, certify=0.2, reserve=0.2)
    summary = run(drawn_shop, CONFIG.model_copy(update={"shares": shares}))
    num = summary.metrics["num_reserve"]
    assert num > 0 and manifest.count(tmp_path / "out" / "photos" / "reserve") == num
    assert sum(summary.metrics[f"num_{split}"] for split in ("train", "search", "certify", "reserve")) == 60
    run(drawn_shop)
    assert manifest.count(tmp_path / "out" / "photos" / "reserve") == 0


def test_what_was_shown_is_in_no_split_and_certify_may_be_empty(
    run: Callable[..., Any], drawn_shop: Rows, write_shop: WriteShop, tmp_path: Path
) -> None:
    run(drawn_shop)
    members = read_members(tmp_path / "out" / MEMBERS)
    write_placement(tmp_path / "memory", set_aside(members, members.members("certify")))
    summary = remembering(write_shop(drawn_shop), tmp_path / "out", tmp_path / "memory")
    assert manifest.count(tmp_path / "out" / "photos" / "certify") == summary.metrics["num_certify"] == 0
    assert summary.metrics["num_retired"] == len(members.members("certify"))
    assert statuses(summary)["V016"] == statuses(summary)["V017"] == "passed"
    assert statuses(summary)["V014"] == "failed", "and every class says that it has nothing to certify on"


def test_a_users_own_split_takes_nothing_seen_into_certify(
    run: Callable[..., Any], drawn_shop: Rows, write_shop: WriteShop, tmp_path: Path
) -> None:
    own_split(drawn_shop)
    run(drawn_shop)
    for row in drawn_shop["photo"]:
        row["split"] = {"train": "certify", "certify": "train"}.get(row["split"], row["split"])
    drawn_shop["photo"][0]["split"] = "train"
    with pytest.raises(DataError, match="V017"):  # nothing is left that could certify
        remembering(write_shop(drawn_shop), tmp_path / "out", tmp_path / "memory")
    drawn_shop["photo"][4]["split"] = "certify"
    summary = remembering(write_shop(drawn_shop), tmp_path / "out", tmp_path / "memory")
    kept = drawn_shop["photo"][4]["image"]["path"]
    assert paths(tmp_path / "out" / "photos" / "certify") == [kept]
    (told,) = [result for result in summary.results if result.check.code == "V024"]
    assert told.status == "failed" and told.num_broken == 35 and "(was in train)" in told.examples[0]

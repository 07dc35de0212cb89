"""The COCO export says what the manifest says, to COCO's own reader too, and comes back in as a source."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.digests import sample_id
from components.core.manifest import write_shard
from components.datasets.sources import ingest
from components.synthesis.annotations import export_coco, main, run_lengths
from components.synthesis.pictures import bounding_box, encode_jpeg, encode_png


def row(number: int, label: str | None, mask: np.ndarray | None, **more: object) -> dict:
    rng = np.random.default_rng(number)
    data = encode_jpeg(rng.integers(0, 255, (12, 20, 3), np.uint8), 80)
    marked = {} if mask is None else {"mask": encode_png(mask), "box": bounding_box(mask)}
    image = {"sample_id": sample_id(data), "image": {"bytes": data, "path": None}, "width_px": 20, "height_px": 12}
    return {**image, "label": label, **marked, **more}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mask = np.zeros((12, 20), np.uint8)
    mask[2:9, 4:11] = 255
    mask[3, 5] = 0
    rows = [
        row(0, "pear", mask, licence="CC0", f_azimuth_deg=30.0, f_visible=0.5, f_background="room"),
        row(1, "plum", np.zeros((12, 20), np.uint8), licence="MIT"),
        row(2, "pear", None),
    ]
    write_shard(tmp_path / "in" / "a-00000.parquet", rows[:2])
    write_shard(tmp_path / "in" / "b-00000.parquet", rows[2:])
    return tmp_path / "in"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of pycocotools
def test_cocos_own_reader_finds_the_masks_boxes_and_pose(folder: Path, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    assert export_coco(folder, tmp_path / "out") == 3
    read = coco.COCO(str(tmp_path / "out" / "annotations.json"))
    (first, third) = read.loadAnns(read.getAnnIds())
    mask = np.zeros((12, 20), np.uint8)
    mask[2:9, 4:11] = 1
    mask[3, 5] = 0
    np.testing.assert_array_equal(read.annToMask(first), mask)
    assert (first["bbox"], first["area"]) == ([4, 2, 7, 7], 48)
    assert first["attributes"] == {"azimuth_deg": 30.0, "visible": 0.5, "background": "room"}
    assert "segmentation" not in third, "an image without a mask still says what is on it"
    assert {c["name"] for c in read.loadCats(read.getCatIds())} == {"pear", "plum"}
    (image,) = read.loadImgs([first["image_id"]])
    pixels = cv2.imread(str(tmp_path / "out" / image["file_name"]))
    assert pixels.shape == (image["height"], image["width"], 3)
    assert read.dataset["licenses"][image["license"] - 1]["name"] == "CC0"


def test_the_export_comes_in_again_as_a_source(folder: Path, tmp_path: Path) -> None:
    export_coco(folder, tmp_path / "out")
    summary = ingest(str(tmp_path / "out" / "annotations.json"), out=tmp_path / "again", source="photo")
    assert summary.classes == {"pear": 2} and summary.num_ignored == 1


@given(st.integers(1, 9), st.integers(1, 9), st.randoms(use_true_random=False))
def test_run_lengths_are_those_of_the_reference(height: int, width: int, random: object) -> None:
    reference = pytest.importorskip("pycocotools.mask")
    mask = np.array([[random.choice((0, 255)) for _ in range(width)] for _ in range(height)], np.uint8)
    counts = run_lengths(mask)
    assert sum(counts) == mask.size
    encoded = reference.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    assert encoded == reference.encode(np.asfortranarray(mask > 127, np.uint8))


def test_a_folder_with_something_in_it_is_left_alone(folder: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    assert main([str(folder), str(tmp_path / "out")]) == 2
    assert "not empty" in capsys.readouterr().err
    assert main([str(folder)]) == 2 and "usage" in capsys.readouterr().err
    assert main([str(tmp_path / "nothing"), str(tmp_path / "new")]) == 2
    assert not (tmp_path / "new").exists()
    assert main([str(folder), str(tmp_path / "new")]) == 0 and "3 images" in capsys.readouterr().out


def test_a_broken_mask_is_named_and_nothing_is_left_half_done(tmp_path: Path, capsys) -> None:
    write_shard(tmp_path / "in" / "a-00000.parquet", [row(0, "pear", None) | {"mask": b"no png"}])
    assert main([str(tmp_path / "in"), str(tmp_path / "out")]) == 2
    assert "cannot be decoded" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

"""The COCO export says what the manifest says, to COCO's own reader too, and comes back in as a source."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.digests import sample_id
from components.core.files import read_json
from components.core.manifest import read, write_shard
from components.datasets.meshes import store, write_models
from components.datasets.sources import ingest
from components.synthesis.annotations import (
    depth_picture,
    depth_unit_m,
    export_coco,
    main,
    normals_picture,
    run_lengths,
)
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import synthesise
from components.synthesis.picture.pictures import bounding_box, encode_jpeg, encode_png
from components.workloads.products.workload import PHOTOS


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
    summary = ingest(str(tmp_path / "out" / "annotations.json"), out=tmp_path / "again", source=PHOTOS)
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


CORNERS = [(x, y, z) for x in (0, 0.4) for y in (0, 0.2) for z in (0, 0.3)]
SIDES = "1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4"
BOX = "".join(f"v {x} {y} {z}\n" for x, y, z in CORNERS) + "".join(f"f {side}\n" for side in SIDES)
RENDERS = {"num_paths": 4, "azimuth_deg": [0, 0], "elevation_deg": [0, 0], "occlusion_probability": 0.8}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `made`: pastes of a picture, and renders of a box 0.2 m deep, seen straight from the front."""
    tmp_path = tmp_path_factory.mktemp("drawn")
    with pytest.MonkeyPatch.context() as monkeypatch:
        _draw(tmp_path, monkeypatch)
        yield tmp_path


def _draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setenv("DETENT_RENDER_BACKEND", "scalar")
    monkeypatch.setenv("DETENT_HOME", str(tmp_path / "home"))
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[6:34, 12:28] = (160, 60, 40)
    data = encode_png(pixels)
    rows = [{"sample_id": sample_id(data), "label": "milk", "image": {"bytes": data, "path": None}}]
    write_shard(tmp_path / "catalog" / "shard-00000.parquet", rows)
    write_models(tmp_path / "catalog" / "models", [store("box.obj", BOX.encode(), [], label="box", licence="MIT")])
    config = SynthesisConfig.model_validate({"num_per_class": 6, "size_px": 32, "renders": RENDERS})
    synthesise(tmp_path / "catalog", None, config, out=tmp_path / "made", seed=3)


def grey(path: Path) -> np.ndarray:
    return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))


def test_depth_and_normals_of_a_box_are_those_of_its_front(drawn: Path, tmp_path: Path) -> None:
    """Every pixel shows the front, a plane at the camera's distance less half of the depth, whatever its place."""
    out, made, catalog = tmp_path / "out", drawn / "made", drawn / "catalog"
    assert main([str(made), str(out), "--geometry", str(catalog)]) == 0
    told = read_json(out / "annotations.json")
    unit_m = told["info"]["depth_unit_m"]
    assert unit_m == 1e-4 and "camera" in told["info"]["normals"]
    factors = {a["image_id"]: a["attributes"] for a in told["annotations"]}
    rows = {row["sample_id"]: row for row in read(made).to_pylist()}
    covered = 0
    for image in told["images"]:
        row = rows[Path(image["file_name"]).stem]
        if row["source"] == "paste":
            assert "depth" not in image and "normals" not in image
            continue
        depth, normals = grey(out / image["depth"]), grey(out / image["normals"])[..., ::-1]
        seen = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE) > 127
        assert depth.dtype == np.uint16 and ((depth > 0) == seen).all() and (normals.any(axis=2) == seen).all()
        expected = factors[image["id"]]["distance_m"] - 0.1
        assert depth[seen] * unit_m == pytest.approx(expected, abs=unit_m / 2 + expected / 2048)
        assert np.abs(normals[seen].astype(int) - (128, 128, 255)).max() <= 1
        covered += row["f_occlusion"] > 0
    assert sum("depth" in image for image in told["images"]) >= 6 and covered, "some of the renders are covered in part"


def test_geometry_that_is_not_the_images_own_is_refused(drawn: Path, tmp_path: Path, capsys) -> None:
    made, catalog = (shutil.copytree(drawn / name, tmp_path / name) for name in ("made", "catalog"))
    rows = read(made).to_pylist()
    renders = [row for row in rows if row["source"] == "render"]
    turned = [row | {"mask": encode_png(grey_bytes(row["mask"])[::-1].copy())} for row in renders]
    write_shard(made / "renders-00000.parquet", turned)
    assert main([str(made), str(tmp_path / "out"), "--geometry", str(catalog)]) == 2
    assert "does not fit its mask" in capsys.readouterr().err and not (tmp_path / "out").exists()
    write_shard(made / "renders-00000.parquet", [row | {"recipe": None} for row in renders])
    assert main([str(made), str(tmp_path / "out"), "--geometry", str(catalog)]) == 2
    assert "another recipe" in capsys.readouterr().err
    write_models(catalog / "models", [store("box.obj", b"v 1 1 1", [], label="box", licence="")])
    assert main([str(made), str(tmp_path / "out"), "--geometry", str(catalog)]) == 2
    assert "are gone: model" in capsys.readouterr().err


def grey_bytes(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE))


def test_geometry_needs_a_recipe_and_its_own_options(folder: Path, tmp_path: Path, capsys) -> None:
    assert main([str(folder), str(tmp_path / "out"), "--geometry", str(folder)]) == 2
    assert "nobody knows how its images were made" in capsys.readouterr().err
    assert main([str(folder), str(tmp_path / "out"), "--backgrounds", str(folder)]) == 2
    assert "goes with --geometry" in capsys.readouterr().err
    assert main([str(folder), str(tmp_path / "out"), "--normals"]) == 2 and "usage" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@given(st.floats(0.01, 20_000))
def test_depths_fit_their_unit_and_lose_no_more_than_half_of_it(farthest_m: float) -> None:
    unit_m = depth_unit_m(farthest_m)
    assert unit_m == 1e-4 or farthest_m / unit_m > 65_500 / 2.6, "no finer unit would do"
    depth = np.linspace(farthest_m / 50, farthest_m * (1 + 1 / 2048), 24, dtype=np.float32).reshape(4, 6)
    back = grey_bytes_16(depth_picture(depth, unit_m)) * unit_m
    assert np.abs(back - depth).max() <= unit_m * 0.51


def grey_bytes_16(data: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))


def test_normals_come_back_as_unit_vectors_and_nothing_as_black() -> None:
    vectors = np.random.default_rng(0).normal(size=(9, 7, 3))
    vectors = (vectors / np.linalg.norm(vectors, axis=2, keepdims=True)).astype(np.float32)
    vectors[2, 3] = 0
    stored = grey_bytes_16(normals_picture(vectors))[..., ::-1]
    assert not stored[2, 3].any()
    stored, kept = np.delete(stored.reshape(-1, 3), 17, axis=0), np.delete(vectors.reshape(-1, 3), 17, axis=0)
    back = stored / 127.5 - 1
    assert np.abs(back - kept).max() <= 0.5 / 127.5 + 1e-6
    assert np.linalg.norm(back, axis=1) == pytest.approx(1, abs=0.008)

"""Synthesis fills a manifest that any machine count makes alike, and names what it could not use."""

import json

import cv2
import numpy as np
import pytest

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import DataError
from components.synthesis import generation
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import synthesise
from components.synthesis.pictures import bounding_box, encode_png

CONFIG = SynthesisConfig(num_per_class=5, size_px=32)


def picture(colour: tuple[int, int, int]) -> bytes:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    pixels[8:32, 12:28] = colour
    return encode_png(pixels)


def write_catalog(folder, images: dict[str, list[bytes]]):
    rows = [
        {"sample_id": sample_id(data), "label": label, "image": {"bytes": data, "path": None}, "licence": "CC0"}
        for label, group in images.items()
        for data in group
    ]
    manifest.write_shard(folder / "shard-00000.parquet", rows)
    return folder


@pytest.fixture
def catalog(tmp_path):
    return write_catalog(tmp_path / "catalog", {"pear": [picture((90, 160, 40))], "plum": [picture((90, 20, 90))]})


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setattr(generation, "_ROWS_PER_SHARD", 4)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_are_complete(catalog, tmp_path):
    summary = synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=3)
    rows = manifest.read(tmp_path / "out").to_pylist()
    assert summary.num_images == len(rows) == 10
    assert summary.num_classes == 2
    assert summary.num_shards_made == 3
    assert summary.doubtful == ()
    assert sorted(row["label"] for row in rows) == ["pear"] * 5 + ["plum"] * 5
    sources = set(manifest.read(catalog).column("sample_id").to_pylist())
    for row in rows:
        assert row["sample_id"] == sample_id(row["image"]["bytes"])
        assert (row["source"], row["split"], row["licence"]) == ("paste", "train", "CC0")
        assert row["parents"][0] in sources
        mask = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert mask.shape == (32, 32)
        assert row["box"] == bounding_box(mask)
        assert json.loads(row["recipe"])["seed"] == 3
    assert {"f_scale", "f_occlusion", "f_light", "f_background"} <= set(rows[0])
    json.dumps(summary.as_json())


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(catalog, tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        synthesise(catalog, None, CONFIG, out=tmp_path / name, seed=seed)
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    ids = [set(manifest.read(tmp_path / name).column("sample_id").to_pylist()) for name in "ac"]
    assert not ids[0] & ids[1]


def test_two_processes_give_the_bytes_of_one(catalog, tmp_path, monkeypatch):
    synthesise(catalog, None, CONFIG, out=tmp_path / "one", seed=0)
    monkeypatch.setenv("DETENT_WORKERS", "2")
    assert synthesise(catalog, None, CONFIG, out=tmp_path / "two", seed=0).num_shards_made == 3
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_a_row_can_be_made_again_from_its_recipe(catalog, tmp_path):
    synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=3)
    row = manifest.read(tmp_path / "out").to_pylist()[6]
    recipe = json.loads(row["recipe"])
    cutouts, _, _ = generation._read_catalog(catalog, CONFIG.size_px)
    scenes = generation.load_backgrounds(None, size_px=CONFIG.size_px, seed=recipe["seed"])
    config = SynthesisConfig.model_validate(recipe["config"])
    rng = generation.row_rng(recipe["seed"], recipe["shard"], recipe["index"])
    paste = generation.compose(generation.Assets(cutouts=cutouts, backgrounds=scenes), config, row["label"], rng)
    assert paste.encoded == row["image"]["bytes"]


def test_lost_shards_are_made_again_and_the_rest_is_kept(catalog, tmp_path):
    out = tmp_path / "out"
    synthesise(catalog, None, CONFIG, out=out, seed=3)
    whole = bytes_of(out)
    (out / "shard-00001.parquet").unlink()
    assert synthesise(catalog, None, CONFIG, out=out, seed=3).num_shards_made == 1
    assert bytes_of(out) == whole
    assert synthesise(catalog, None, CONFIG, out=out, seed=3).images_per_s == 0.0


def test_an_empty_catalogue_is_an_error(tmp_path):
    manifest.write_shard(tmp_path / "catalog" / "shard-00000.parquet", [])
    with pytest.raises(DataError, match="has no rows"):
        synthesise(tmp_path / "catalog", None, CONFIG, out=tmp_path / "out", seed=0)


def test_doubtful_pictures_are_listed_and_the_rest_is_used(tmp_path):
    blank = encode_png(np.full((40, 40, 3), 255, np.uint8))
    images = {"pear": [picture((90, 160, 40)), blank, b"not a picture"], "plum": [picture((90, 20, 90))]}
    catalog = write_catalog(tmp_path / "catalog", images)
    summary = synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=0)
    assert {item.sample_id for item in summary.doubtful} == {sample_id(blank), sample_id(b"not a picture")}
    assert all(item.label == "pear" and item.reason for item in summary.doubtful)
    used = {row["parents"][0] for row in manifest.read(tmp_path / "out").to_pylist()}
    assert used == {sample_id(images["pear"][0]), sample_id(images["plum"][0])}


def test_a_class_without_a_usable_picture_is_an_error_that_names_it(tmp_path):
    catalog = write_catalog(tmp_path / "catalog", {"pear": [picture((90, 160, 40))], "plum": [b"text"]})
    with pytest.raises(DataError, match=r"left for plum .*cannot be decoded"):
        synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=0)


def test_given_backgrounds_become_parents(catalog, tmp_path):
    tiny = encode_png(np.full((8, 8), 70, np.uint8))
    rows = [{"sample_id": sample_id(tiny), "image": {"bytes": tiny, "path": None}, "licence": "MIT"}]
    manifest.write_shard(tmp_path / "bg" / "shard-00000.parquet", rows)
    synthesise(catalog, tmp_path / "bg", CONFIG, out=tmp_path / "out", seed=0)
    for row in manifest.read(tmp_path / "out").to_pylist():
        assert row["parents"][1] == sample_id(tiny)
        assert row["f_background"] == "photo"
        assert row["licence"] == "CC0; MIT"

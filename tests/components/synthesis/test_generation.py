"""Synthesis fills a manifest that any machine count makes alike, and names what it could not use."""

import json

import cv2
import numpy as np
import pytest

from components.core import manifest
from components.core.digests import digest_json, sample_id
from components.core.errors import ConfigError, DataError
from components.synthesis import lots
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import SynthesisSummary, synthesise
from components.synthesis.picture.pictures import bounding_box, encode_png
from components.synthesis.stock import Doubtful

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
    monkeypatch.setattr(lots, "ROWS_PER_SHARD", 4)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_rows_are_complete(catalog, tmp_path):
    summary = synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=3)
    rows = manifest.read(tmp_path / "out").to_pylist()
    assert summary.num_images == len(rows) == 10
    assert summary.num_classes == 2
    assert summary.num_shards_made == 3
    assert summary.num_by_generator == {"pastes": 10} and summary.num_by_role == {"picture": 2, "background": 60}
    assert {path.name for path in (tmp_path / "out").glob("*.parquet")} == {f"pastes-0000{i}.parquet" for i in range(3)}
    assert not [item for item in summary.doubtful if not item.used]
    assert sorted(row["label"] for row in rows) == ["pear"] * 5 + ["plum"] * 5
    sources = set(manifest.read(catalog).column("sample_id").to_pylist())
    for row in rows:
        assert row["sample_id"] == sample_id(row["image"]["bytes"])
        assert (row["source"], row["split"], row["licence"]) == ("paste", "train", "CC0")
        assert row["parents"][0] in sources
        mask = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert mask.shape == (32, 32)
        assert row["box"] == bounding_box(mask)
        recipe = json.loads(row["recipe"])
        assert (recipe["seed"], recipe["recipe"]) == (3, summary.recipe) and len(row["recipe"]) < 250
    assert {"f_scale", "f_occlusion", "f_exposure_ev", "f_background"} <= set(rows[0])
    json.dumps(summary.as_json())


def test_the_recipe_names_every_asset_with_its_digest_and_licence(catalog, tmp_path):
    summary = synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=3)
    recipe = json.loads((tmp_path / "out" / "recipe.json").read_text())
    assert digest_json(recipe) == summary.recipe
    pictures = [asset for asset in recipe["assets"] if asset["role"] == "picture"]
    assert {(a["sample_id"], a["label"], a["licence"], a["used"]) for a in pictures} == {
        (row["sample_id"], row["label"], "CC0", True) for row in manifest.read(catalog).to_pylist()
    }
    assert set(recipe["made_with"]) == {"processor", "numpy", "opencv-python-headless", "pillow"}


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


def test_lost_shards_are_made_again_and_the_rest_is_kept(catalog, tmp_path):
    out = tmp_path / "out"
    synthesise(catalog, None, CONFIG, out=out, seed=3)
    whole = bytes_of(out)
    (out / "pastes-00001.parquet").unlink()
    assert synthesise(catalog, None, CONFIG, out=out, seed=3).num_shards_made == 1
    assert bytes_of(out) == whole
    assert synthesise(catalog, None, CONFIG, out=out, seed=3).images_per_s == 0.0


def test_shards_of_other_code_are_made_again_and_no_drawn_number_depends_on_it(catalog, tmp_path):
    out = tmp_path / "out"
    first = synthesise(catalog, None, CONFIG, out=out, seed=3, code="one")
    images = manifest.read(out)["image"].to_pylist()
    assert synthesise(catalog, None, CONFIG, out=out, seed=3, code="one").num_shards_made == 0
    second = synthesise(catalog, None, CONFIG, out=out, seed=3, code="two")
    assert second.num_shards_made == 3 and second.recipe != first.recipe
    assert json.loads((out / "recipe.json").read_text())["code"] == "two"
    assert manifest.read(out)["image"].to_pylist() == images


def test_an_empty_catalogue_is_an_error(tmp_path):
    manifest.write_shard(tmp_path / "catalog" / "shard-00000.parquet", [])
    with pytest.raises(DataError, match="has no rows"):
        synthesise(tmp_path / "catalog", None, CONFIG, out=tmp_path / "out", seed=0)


def test_doubtful_pictures_are_listed_and_the_rest_is_used(tmp_path):
    blank = encode_png(np.full((40, 40, 3), 255, np.uint8))
    images = {"pear": [picture((90, 160, 40)), blank, b"not a picture"], "plum": [picture((90, 20, 90))]}
    catalog = write_catalog(tmp_path / "catalog", images)
    summary = synthesise(catalog, None, CONFIG, out=tmp_path / "out", seed=0)
    useless = [item for item in summary.doubtful if not item.used]
    assert {item.sample_id for item in useless} == {sample_id(blank), sample_id(b"not a picture")}
    assert all(item.label == "pear" and item.role == "picture" and item.reason for item in useless)
    assert summary.doubts_path == tmp_path / "out" / "doubts.png" and summary.doubts_path.is_file()
    assert summary.num_by_role["picture"] == 2
    used = {row["parents"][0] for row in manifest.read(tmp_path / "out").to_pylist()}
    assert used == {sample_id(images["pear"][0]), sample_id(images["plum"][0])}


def test_a_class_without_a_usable_picture_is_an_error_that_names_it(tmp_path):
    catalog = write_catalog(tmp_path / "catalog", {"pear": [picture((90, 160, 40))], "plum": [b"text"]})
    with pytest.raises(DataError, match=r"is left for plum .*cannot be decoded"):
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


def test_a_background_that_cannot_be_decoded_is_listed_and_the_rest_is_used(catalog, tmp_path):
    good = encode_png(np.full((8, 8), 70, np.uint8))
    rows = [{"sample_id": sample_id(data), "image": {"bytes": data, "path": None}} for data in (good, b"text")]
    manifest.write_shard(tmp_path / "bg" / "shard-00000.parquet", rows)
    summary = synthesise(catalog, tmp_path / "bg", CONFIG, out=tmp_path / "out", seed=0)
    (fault,) = [item for item in summary.doubtful if item.role == "background"]
    assert fault.sample_id == sample_id(b"text") and not fault.used and "cannot be decoded" in fault.reason
    assert {row["parents"][1] for row in manifest.read(tmp_path / "out").to_pylist()} == {sample_id(good)}
    manifest.write_shard(tmp_path / "bg" / "shard-00000.parquet", rows[1:])
    with pytest.raises(DataError, match="no background can be used"):
        synthesise(catalog, tmp_path / "bg", CONFIG, out=tmp_path / "out", seed=0)


def test_aims_are_followed_and_one_that_nobody_can_follow_is_refused(catalog, tmp_path):
    aim: dict[str, object] = {"share": 1.0, "classes": ["plum", "kayak"], "ranges": {"motion_deg": [10.0, 20.0]}}
    aim["words"] = {"behind": ["shelves", "heaps", "scatter"]}
    aimed = SynthesisConfig.model_validate({"num_per_class": 4, "size_px": 32, "aims": [aim]})
    synthesise(catalog, None, aimed, out=tmp_path / "out", seed=0)
    rows = manifest.read(tmp_path / "out").to_pylist()
    assert {row["label"] for row in rows} == {"plum"} and len(rows) == 8
    assert all(10 <= row["f_motion_deg"] <= 20 and row["f_behind"] != "background" for row in rows)
    faults = (
        {"classes": ["kayak"]},
        {"ranges": {"azimuth_deg": [0.0, 9.0]}},
        {"ranges": {"behind": [0.0, 9.0]}},
        {"words": {"behind": ["beaches"]}},
        {"words": {"light": ["sky"]}},
    )
    for fault in faults:
        lost = SynthesisConfig.model_validate({"size_px": 32, "aims": [{"share": 0.5, **fault}]})
        with pytest.raises(ConfigError, match="no generator of this run shows"):
            synthesise(catalog, None, lost, out=tmp_path / "out", seed=0)


@pytest.mark.parametrize("labels", [1, 2, 5])
def test_quotas_hold_class_by_class(labels):
    names = [f"c{number}" for number in range(labels)]
    quotas = {name: 3 + 2 * number for number, name in enumerate(names)}
    places = lots._places(names, quotas)
    assert sorted(set(places)) == list(places)
    assert {name: sum(place % labels == number for place in places) for number, name in enumerate(names)} == quotas


def test_assets_with_the_same_fault_are_told_in_one_line():
    lying = [
        Doubtful(sample_id=f"{n:032d}", role="model", name=f"m{n}.glb", label="x", reason="z is up", used=True)
        for n in range(24)
    ]
    gone = Doubtful(sample_id="f" * 32, role="model", name="m99.glb", label="x", reason="m99.glb has no faces")
    shot = Doubtful(sample_id="e" * 32, role="picture", name="p.png", label="x", reason="z is up", used=True)
    found = summary_of((*lying, gone, shot)).findings
    assert found == {
        f"doubtful {'0' * 12} and 23 more": "m0.glb, m1.glb, m2.glb, 21 more: z is up",
        f"left out {'f' * 12}": "m99.glb has no faces",
        f"doubtful {'e' * 12}": "p.png: z is up",
    }
    assert list(summary_of((*lying[:2],)).findings.values()) == ["m0.glb, m1.glb: z is up"]


def summary_of(doubtful: tuple[Doubtful, ...]) -> SynthesisSummary:
    return SynthesisSummary(
        num_images=1, num_classes=1, num_by_generator={}, num_by_role={}, num_shards_made=1, num_views_traced=0,
        images_per_s=1.0, recipe="0", doubtful=doubtful,
    )  # fmt: skip

"""Renders and wraps come in the numbers asked for, are made again alone, and trace each view once."""

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import ConfigError, IntegrityError
from components.datasets.meshes import model_ids, store, write_models
from components.synthesis.config import SynthesisConfig
from components.synthesis.generation import SynthesisSummary, synthesise
from components.synthesis.picture.pictures import encode_png
from components.synthesis.provenance import Origin, Remaker
from components.synthesis.renders.wraps import straight

CONE = "v 0 0 0\nv {0} 0 0\nv 0 0.3 0\nv 0.1 0.1 0.3\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n"

OFF = {"share": 0}


@pytest.fixture(autouse=True)
def scalar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setenv("DETENT_RENDER_BACKEND", "scalar")


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    pixels = np.full((40, 40, 3), 255, np.uint8)
    cv2.rectangle(pixels, (12, 6), (28, 34), (160, 60, 40), -1)
    data = encode_png(pixels)
    rows = [{"sample_id": sample_id(data), "label": "milk", "image": {"bytes": data, "path": None}, "licence": "CC0"}]
    manifest.write_shard(tmp_path / "catalog" / "shard-00000.parquet", rows)
    cones = [store(f"cone/{n}.obj", CONE.format(n).encode(), [], label="cone", licence="MIT") for n in (0.2, 0.3)]
    write_models(tmp_path / "catalog" / "models", cones)
    return tmp_path / "catalog"


def make(
    catalog: Path, *, renders: dict | None = None, wraps: dict | None = None, **changes: object
) -> tuple[SynthesisSummary, list[dict]]:
    generators = {"wraps": {"share": 0.5, **(wraps or {})}, "renders": {"num_paths": 1, **(renders or {})}}
    settings = {"num_per_class": 4, "size_px": 16, "generators": generators, **changes}
    config = SynthesisConfig.model_validate(settings)
    out = catalog.parent / "out"
    summary = synthesise(catalog, None, config, out=out, seed=1, cache=catalog.parent / "cache")
    return summary, manifest.read(out).to_pylist()


def test_models_and_wrapped_pictures_are_rendered_and_made_again(catalog: Path) -> None:
    summary, rows = make(catalog)
    assert summary.num_by_generator == {"pastes": 2, "renders": 4, "wraps": 2}
    assert Counter(row["label"] for row in rows) == {"milk": 4, "cone": 4}
    cones = {row["parents"][0] for row in rows if row["label"] == "cone"}
    assert cones == {asset_id for asset_id, _ in model_ids(catalog)}, "a render's parent is the asset itself"
    (milk,) = {row["parents"][0] for row in rows if row["label"] == "milk"}
    assert milk == manifest.read(catalog)["sample_id"][0].as_py()
    assert {row["f_wrap"] for row in rows if row["label"] == "milk"} == {None, "carton"}
    assert all(abs(row["f_azimuth_deg"]) <= 55 for row in rows if row["f_wrap"]), "a picture shows no back"
    assert {row["licence"] for row in rows} == {"CC0", "MIT"}
    assert summary.num_views_traced == len(list((catalog.parent / "cache").rglob("*.safetensors"))) == 3
    again, _ = make(catalog)
    assert (again.num_views_traced, again.num_shards_made) == (0, 0)
    cache = catalog.parent / "other cache"
    remaker = Remaker.open(catalog.parent / "out", Origin(catalog=catalog, backgrounds=None, cache=cache))
    for row in (rows[0], rows[3], rows[-1]):
        assert remaker.remake(row["sample_id"]) == row["image"]["bytes"]
    assert len(list(cache.rglob("*.safetensors"))) == 2, "only the views of these rows were traced"


def test_a_model_that_was_exchanged_is_named(catalog: Path) -> None:
    make(catalog, num_per_class=1, wraps=OFF)
    write_models(catalog / "models", [store("cone/0.2.obj", b"v 1 1 1", [], label="cone", licence="")])
    with pytest.raises(IntegrityError, match=r"2 assets of the recipe are gone: model .*cone/0\.2\.obj"):
        Remaker.open(catalog.parent / "out", Origin(catalog=catalog, backgrounds=None))


def test_more_renders_than_views_and_lights_give_are_refused(catalog: Path) -> None:
    with pytest.raises(ConfigError, match=r"50 renders of one model .* raise views_per_model or lights_per_view"):
        make(catalog, num_per_class=100, renders={"views_per_model": 4, "lights_per_view": 12})
    with pytest.raises(ConfigError, match=r"wraps\.shapes names no classes"):
        make(catalog, wraps={"shapes": {"tea": "can"}})


def test_renders_follow_aims_at_words_and_refuse_words_that_are_never_drawn(catalog: Path) -> None:
    _, rows = make(catalog, wraps=OFF, aims=[{"share": 1.0, "words": {"light": ["window", "lamp"]}}])
    lights = {row["f_light"] for row in rows if row["source"] == "render"}
    assert lights <= {"window", "lamp"} and len(rows) > 4
    with pytest.raises(ConfigError, match=r"light \(panorama\).*aimed at are those of .* in pastes; .* in renders"):
        make(catalog, wraps=OFF, aims=[{"share": 1.0, "words": {"light": ["panorama"]}}])


def test_a_layer_gets_its_colours_back() -> None:
    layer = np.array([[[50, 25, 0, 128], [0, 0, 0, 0], [9, 8, 7, 255]]], np.uint8)
    np.testing.assert_array_equal(straight(layer), [[[100, 50, 0, 128], [0, 0, 0, 0], [9, 8, 7, 255]]])

"""The catalogue holds every class, its rows describe themselves, and a killed run goes on."""

import json

import cv2
import numpy as np
import pytest

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import ConfigError
from components.synthesis.builtin import catalog
from components.synthesis.builtin.catalog import render_catalog
from components.synthesis.picture.pictures import bounding_box


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setattr(catalog, "_ROWS_PER_SHARD", 5)


def test_rows_are_complete_and_runs_go_on(tmp_path):
    options = {"classes": ["mug", "vase"], "num_per_class": 4, "size_px": 24, "seed": 1}
    assert render_catalog(tmp_path, **options) == 8
    rows = manifest.read(tmp_path).to_pylist()
    assert sorted(row["label"] for row in rows) == ["mug"] * 4 + ["vase"] * 4
    assert len({row["sample_id"] for row in rows}) == 8
    assert len({row["group"] for row in rows}) == 4
    for row in rows:
        assert row["source"] == "render"
        assert row["sample_id"] == sample_id(row["image"]["bytes"])
        mask = cv2.imdecode(np.frombuffer(row["mask"], np.uint8), cv2.IMREAD_GRAYSCALE)
        assert row["box"] == bounding_box(mask)
        assert 0.05 < (mask > 127).mean() < 0.8
        assert json.loads(row["recipe"])["label"] == row["label"]
    whole = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "shard-00001.parquet").unlink()
    render_catalog(tmp_path, **options)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == whole


def test_unknown_classes_are_refused_before_any_work(tmp_path):
    with pytest.raises(ConfigError, match="spoon"):
        render_catalog(tmp_path / "out", classes=["spoon"], num_per_class=1, size_px=16, seed=0)
    assert not (tmp_path / "out").exists()

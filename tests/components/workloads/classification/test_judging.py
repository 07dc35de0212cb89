"""Predictions become verdicts with slices; nothing of the certify split is written while candidates are judged."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from components.core import manifest, verdicts
from components.core.digests import sample_id
from components.core.errors import DataError
from components.core.manifest import ManifestWriter
from components.models.artefacts import ModelSpec, load_model, save_model
from components.models.networks.registry import build_network
from components.workloads.classification.judging import judge_model
from components.workloads.products.workload import WORKLOAD

CLASSES = ("dark", "light")
ARCHITECTURE = {"family": "convnet", "num_classes": 2, "widths": [4], "blocks": [1], "stem_stride": 2}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Sixteen noisy squares with a light factor and a number."""
    import io

    rng = np.random.default_rng(0)
    with ManifestWriter(tmp_path / "photos") as writer:
        for number in range(16):
            pixels = (rng.integers(0, 100, (20, 20, 3)) + 120 * (number % 2)).astype(np.uint8)
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="PNG")
            data = buffer.getvalue()
            row = {"sample_id": sample_id(data), "image": {"bytes": data, "path": None}, "label": CLASSES[number % 2]}
            writer.write(row | {"f_light": "dim" if number < 8 else "hard", "f_size": float(number)})
    return tmp_path / "photos"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(
        tmp_path / "model",
        build_network(ARCHITECTURE),
        ModelSpec(architecture=ARCHITECTURE, classes=CLASSES, size_px=16),
    )
    return tmp_path / "model"


def test_a_verdict_is_right_exactly_when_the_best_class_is_the_label(photos: Path, model: Path, tmp_path: Path) -> None:
    loaded = load_model(model)
    table = judge_model(loaded, photos, cache=tmp_path / "cache")
    labels = dict(zip(*manifest.read(photos, ["sample_id", "label"]).to_pydict().values(), strict=True))
    for row in table.to_pylist():
        assert row["verdict"] == int(row["prediction"] == labels[row["sample_id"]])
        assert row["s_class"] == labels[row["sample_id"]]
    assert verdicts.read_stamp(table).model == loaded.digest


def test_factors_become_slices_and_numbers_quarters(photos: Path, model: Path, tmp_path: Path) -> None:
    table = judge_model(load_model(model), photos, cache=tmp_path / "cache")
    assert verdicts.slice_columns(table) == ["s_class", "s_light", "s_size"]
    counts = {name: table["s_size"].to_pylist().count(name) for name in set(table["s_size"].to_pylist())}
    assert len(counts) == 4 and max(counts.values()) - min(counts.values()) <= 1


def test_a_model_that_gives_nan_is_refused(photos: Path, model: Path, tmp_path: Path) -> None:
    loaded = load_model(model)
    torch.nn.init.constant_(loaded.network.head.bias, float("nan"))  # type: ignore[union-attr,arg-type]
    with pytest.raises(DataError, match="gives NaN"):
        judge_model(loaded, photos, cache=tmp_path / "cache")


def test_products_has_every_stage() -> None:
    assert list(WORKLOAD.stages) == ["validation", "synthesis", "training", "selection", "packaging"]

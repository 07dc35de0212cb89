"""Predictions become verdicts on the questions that samples ask; the reference is what the evaluation answers."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from components.core import samples
from components.core.digests import sample_id
from components.core.errors import DataError
from components.core.manifest import ManifestWriter
from components.core.samples import SampleSet, one_an_image
from components.models.artefacts import ModelSpec, load_model, save_model
from components.models.networks.registry import build_network
from components.workloads.classification.judging import judge
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


def test_a_verdict_is_right_exactly_when_the_best_class_is_the_truth(photos: Path, model: Path, tmp_path: Path) -> None:
    """As the samples have it: one whose truth is another than its photo's label is judged by its own."""
    asked = one_an_image(photos)
    turned = ["light" if index == 0 else truth for index, truth in enumerate(asked["truth"].to_pylist())]
    path = tmp_path / "asked.parquet"
    samples.write(path, asked.set_column(asked.column_names.index("truth"), "truth", pa.array(turned)))
    table = judge(model, SampleSet(images=photos, path=path), cache=tmp_path / "cache")
    truths = dict(zip(asked["sample_id"].to_pylist(), turned, strict=True))
    assert table.num_rows == 16 and set(table["verdict"].to_pylist()) == {0, 1}
    for row in table.to_pylist():
        assert row["verdict"] == int(row["prediction"] == truths[row["sample_id"]])
        assert 0.5 <= row["score"] <= 1


def test_each_question_is_answered_by_its_own_image(photos: Path, model: Path, tmp_path: Path) -> None:
    """A table in another order than the manifest's, which asks of some images only."""
    unread = SampleSet(images=photos, path=tmp_path / "none.parquet")
    whole = {row["sample_id"]: row for row in judge(model, unread, cache=tmp_path / "cache").to_pylist()}
    some = one_an_image(photos).take([9, 2, 5])
    samples.write(tmp_path / "some.parquet", some)
    asked = SampleSet(images=photos, path=tmp_path / "some.parquet")
    assert judge(model, asked, cache=tmp_path / "cache").to_pylist() == [
        whole[name] for name in sorted(some["sample_id"].to_pylist())
    ]


def test_a_model_that_gives_nan_is_refused(photos: Path, model: Path, tmp_path: Path) -> None:
    loaded = load_model(model)
    torch.nn.init.constant_(loaded.network.head.bias, float("nan"))  # type: ignore[union-attr,arg-type]
    save_model(tmp_path / "nan", loaded.network, loaded.spec)
    with pytest.raises(DataError, match="gives NaN"):
        judge(tmp_path / "nan", SampleSet(images=photos, path=tmp_path / "none"), cache=tmp_path / "cache")


def test_products_has_every_stage() -> None:
    assert list(WORKLOAD.stages) == ["validation", "synthesis", "training", "selection", "packaging"]

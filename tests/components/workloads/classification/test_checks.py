"""The checks of classes with and without a catalogue; each planted fault is named.

Those of a whole shop are planted in tests/components/validation/test_stage.py.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.digests import sample_id
from components.core.errors import DataError
from components.core.files import write_json
from components.core.manifest import ManifestWriter, Source
from components.validation.config import ValidationConfig
from components.validation.stage import ValidationSummary, validate
from components.workloads.classification.checks import rules

CONFIG = ValidationConfig(share_tolerance=1, small_side_px=8, max_class_ratio=3)


def lay(folder: Path, source: Source, labels: Sequence[str | None], *, seed: int) -> None:
    rng = np.random.default_rng(seed)
    with ManifestWriter(folder / source) as writer:
        for number, label in enumerate(labels):
            buffer = io.BytesIO()
            Image.fromarray(rng.integers(0, 255, (24, 24, 3)).astype(np.uint8)).save(buffer, format="PNG")
            data = buffer.getvalue()
            image = {"bytes": data, "path": f"{label}/{number}.png"}
            writer.write({"sample_id": sample_id(data), "image": image, "label": label, "source": source})


def run(folder: Path, *sources: Source) -> ValidationSummary:
    made = {source: folder / source for source in sources}
    return validate(made, CONFIG, out=folder / "out", report=folder / "page.html", rules=rules())


def failed(summary: ValidationSummary) -> dict[str, list[str]]:
    return {result.check.code: result.examples for result in summary.results if result.status == "failed"}


def test_without_a_catalogue_the_photos_say_which_classes_there_are(tmp_path: Path) -> None:
    lay(tmp_path, "photo", ["cup", "lamp"] * 12 + ["sofa"] * 2, seed=0)
    summary = run(tmp_path, "photo")
    write_json(tmp_path / "expected.json", ["cup", "lamp", "sofa"])
    assert (tmp_path / "out" / "classes.json").read_bytes() == (tmp_path / "expected.json").read_bytes()
    assert summary.metrics["num_classes"] == 3 and summary.metrics["num_photos_in_smallest_class"] == 2
    assert failed(summary) == {"V013": ["sofa"], "V014": ["sofa"]}
    assert "V011" not in {result.check.code for result in summary.results}, "nobody promised a picture of each"


def test_a_catalogue_says_it_where_there_is_one(tmp_path: Path) -> None:
    lay(tmp_path, "photo", ["cup", "lamp"] * 12, seed=0)
    lay(tmp_path, "catalog", ["cup", "lamp", "sofa"], seed=1)
    assert failed(run(tmp_path, "photo", "catalog")) == {"V012": ["sofa"]}
    lay(tmp_path, "catalog", ["cup"], seed=1)
    with pytest.raises(DataError, match=r"V004 .*lamp: lamp/"):
        run(tmp_path, "photo", "catalog")


def test_a_photo_without_a_label_stops_the_run(tmp_path: Path) -> None:
    lay(tmp_path, "photo", ["cup", "lamp"] * 12 + [None], seed=0)
    with pytest.raises(DataError, match="V003"):
        run(tmp_path, "photo")

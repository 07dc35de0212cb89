"""Photos are described in their order by the features that were chosen; torch comes in for the champion alone."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.core.manifest import ManifestWriter
from components.datasets.features import Appearance, comparable
from components.validation.config import ScenesConfig
from components.validation.description import ChampionFeatures, choose_features, describe_photos
from components.validation.facts import measure


@pytest.fixture
def photos(tmp_path: Path, draw_image: Callable[..., bytes], make_row: Callable[..., Any]) -> Path:
    with ManifestWriter(tmp_path / "photos", rows_per_shard=4) as writer:
        for seed in range(10):
            writer.write({"source": "photo", **make_row(draw_image(seed, size=(64, 64)), f"{seed}.png", "cup")})
    return tmp_path / "photos"


def test_vectors_come_in_the_order_of_the_photos(photos: Path, draw_image: Callable[..., bytes]) -> None:
    facts = measure(photos, "photo")
    chosen = [facts[7], facts[2], facts[5], facts[9]]
    found = describe_photos(photos, chosen, Appearance())
    images = [Image.open(io.BytesIO(draw_image(item.index, size=(64, 64)))) for item in chosen]
    wanted = comparable(Appearance().describe(np.stack([np.asarray(image) for image in images])), is_whitened=True)
    assert np.allclose(found, wanted, atol=1e-5)
    assert describe_photos(photos, [], Appearance()).shape == (0, 1)


def test_the_champions_logits_describe_photos(tmp_path: Path, photos: Path) -> None:
    from components.models.artefacts import ModelSpec, load_model, save_model
    from components.models.networks.registry import build_network
    from components.models.prediction import predict_logits

    architecture = {"family": "convnet", "num_classes": 3, "widths": [4], "blocks": [1]}
    spec = ModelSpec(architecture=architecture, classes=("a", "b", "c"), size_px=24)
    save_model(tmp_path / "model", build_network(architecture), spec)
    features = choose_features(ScenesConfig(features="champion"), tmp_path / "model")
    assert isinstance(features, ChampionFeatures) and features.size_px == 24
    images = np.random.default_rng(0).integers(0, 256, (5, 24, 24, 3)).astype(np.uint8)
    model = load_model(tmp_path / "model")
    assert np.array_equal(features.describe(images), predict_logits(model.network, model.spec, images))
    unwhitened = replace(features, is_whitened=False)
    assert describe_photos(photos, measure(photos, "photo"), unwhitened).shape == (10, 3)


def test_validation_runs_without_torch() -> None:
    code = "import sys, components.validation.stage; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0

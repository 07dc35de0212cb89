"""A model on disk: what is saved comes back bit for bit, and whatever is changed is noticed."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from components.core.errors import ConfigError, DataError, IntegrityError
from components.models.artefacts import ModelSpec, load_model, read_spec, save_model
from components.models.identity import CARD, WEIGHTS, model_digest
from components.models.networks.registry import build_network
from components.models.prediction import predict

ARCHITECTURE = {"family": "convnet", "num_classes": 3, "widths": [4, 8], "blocks": [1, 1], "stem_stride": 2}
SPEC = ModelSpec(architecture=ARCHITECTURE, classes=("a", "b", "c"), size_px=16, recipe={"seed": 1})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save_model(tmp_path / "model", build_network(ARCHITECTURE), SPEC)
    return tmp_path / "model"


def test_round_trip_is_bit_identical(folder: Path) -> None:
    torch.manual_seed(0)
    network = build_network(ARCHITECTURE).eval()
    loaded = load_model(folder)
    assert loaded.spec == SPEC
    assert all(
        torch.equal(a, b)
        for a, b in zip(network.state_dict().values(), loaded.network.state_dict().values(), strict=True)
    )


def test_saving_again_gives_the_same_digest(folder: Path, tmp_path: Path) -> None:
    model = load_model(folder)
    assert save_model(tmp_path / "again", model.network, model.spec) == model.digest


def test_one_changed_weight_is_another_model(folder: Path) -> None:
    digest = model_digest(folder)
    data = bytearray((folder / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (folder / WEIGHTS).write_bytes(bytes(data))
    with pytest.raises(IntegrityError, match="was changed"):
        load_model(folder, digest=digest)


def test_permuted_classes_are_another_model(folder: Path) -> None:
    digest = model_digest(folder)
    card = json.loads((folder / CARD).read_text())
    card["classes"] = ["b", "a", "c"]
    (folder / CARD).write_text(json.dumps(card))
    assert model_digest(folder) != digest


def test_truncated_weights_are_named(folder: Path) -> None:
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=WEIGHTS):
        load_model(folder)


def test_missing_file_and_foreign_schema_are_named(folder: Path) -> None:
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, "schema": 99}))
    with pytest.raises(DataError, match="schema 99"):
        read_spec(folder)
    (folder / WEIGHTS).unlink()
    with pytest.raises(DataError, match="is missing"):
        load_model(folder)


@pytest.mark.parametrize(
    ("field", "values", "told"),
    [
        ("mean", [0.5, 0.5, float("nan")], r"input\.mean is .*nan\], expected three finite numbers"),
        ("std", [float("inf")] * 3, r"input\.std is .*inf\], expected three finite numbers"),
        ("std", [0.2, 0.0, 0.2], r"input\.mean .* input\.std .* std above 0; divide"),
        ("mean", [0.5], r"input\.mean is \[0.5\], .* put in those"),
    ],
)
def test_a_normalisation_that_is_none_is_named(folder: Path, field: str, values: list[float], told: str) -> None:
    card = json.loads((folder / CARD).read_text())
    card["input"][field] = values
    (folder / CARD).write_text(json.dumps(card))
    for read in (read_spec, load_model):
        with pytest.raises(DataError, match=f"{CARD}: {told}"):
            read(folder)


def test_unknown_family_names_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"adapted, convnet, .*grown, .*torchvision"):
        build_network({"family": "transformer"})


def test_predictions_do_not_depend_on_the_batch(folder: Path) -> None:
    model = load_model(folder)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 16, 16, 3), dtype=np.uint8)
    whole = predict(model, pixels)
    assert whole.shape == (7, 3)
    assert np.allclose(whole.sum(axis=1), 1.0, atol=1e-5)
    assert np.allclose(whole, predict(model, pixels, batch=2), atol=1e-5)


def test_no_images_give_no_predictions(folder: Path) -> None:
    assert predict(load_model(folder), np.zeros((0, 16, 16, 3), np.uint8)).shape == (0, 3)


def test_torchvision_backbone_builds_without_a_download() -> None:
    network = build_network({"family": "torchvision", "name": "mobilenet_v3_small", "num_classes": 5}).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 5)

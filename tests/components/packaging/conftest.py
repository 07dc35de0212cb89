"""One tiny model, its Bento and a sample of drawn images for all tests of this folder."""

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from components.core.digests import sample_id
from components.models.artefacts import ModelSpec, save_model
from components.models.networks.registry import build_network
from components.packaging import parity
from components.packaging.building import BentoRef, build_bento
from components.packaging.parity import Reference, predict_reference

ARCHITECTURE = {"family": "convnet", "num_classes": 4, "widths": [8, 16], "blocks": [1, 1]}
CLASSES = ("mug", "lamp", "chair", "desk")
VERSION_INFO = {"version": "7", "workload": "products"}


def draw_image(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((40, 40), Image.Resampling.BILINEAR).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packaging")


@pytest.fixture(scope="session")
def model_folder(workspace: Path) -> Path:
    torch.manual_seed(3)
    spec = ModelSpec(architecture=ARCHITECTURE, classes=CLASSES, size_px=32)
    save_model(workspace / "model", build_network(ARCHITECTURE), spec)
    return workspace / "model"


@pytest.fixture(scope="session")
def bento_home(workspace: Path) -> Path:
    return workspace / ".home" / "bento"


@pytest.fixture(scope="session")
def bento(model_folder: Path, bento_home: Path) -> BentoRef:
    return build_bento(model_folder, version_info=VERSION_INFO, bento_home=bento_home)


@pytest.fixture(scope="session")
def samples() -> list[tuple[str, bytes]]:
    images = [draw_image(seed) for seed in range(20)]
    return [(sample_id(image), image) for image in images]


@pytest.fixture(scope="session")
def reference(model_folder: Path, samples: list[tuple[str, bytes]]) -> Reference:
    return predict_reference(model_folder, samples)


@pytest.fixture(scope="session")
def port(bento: BentoRef) -> Iterator[int]:
    """The port of the Bento's server, started as the parity check starts it."""
    with parity._server(bento, 120.0) as port:
        yield port

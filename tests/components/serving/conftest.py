"""One tiny model, its Bento and its running server for all tests of this folder."""

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx
import numpy as np
import pytest
import torch
from PIL import Image

from components.models.artefacts import ModelSpec, save_model
from components.models.networks.registry import build_network
from components.packaging.building import BentoRef, build_bento
from components.serving.server import free_port, running, wait_until_ready

ARCHITECTURE = {"family": "convnet", "num_classes": 6, "widths": [8, 16], "blocks": [1, 1]}
CLASSES = ("mug", "lamp", "chair", "desk", "sofa", "shelf")


@dataclass(frozen=True)
class Server:
    port: int
    log: IO[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False)

    def log_text(self) -> str:
        self.log.seek(0)
        return self.log.read().decode()


def draw_image(seed: int, *, kind: str = "JPEG", size_px: int = 48) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((size_px, size_px), Image.Resampling.BILINEAR).save(file, kind)
    return file.getvalue()


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("serving") / "model"
    network = build_network(ARCHITECTURE)
    save_model(folder, network, ModelSpec(architecture=ARCHITECTURE, classes=CLASSES, size_px=32))
    return folder


@pytest.fixture(scope="session")
def bento(model_folder: Path) -> BentoRef:
    info = {"version": "7", "workload": "products"}
    return build_bento(model_folder, version_info=info, bento_home=model_folder.parent / "home")


@pytest.fixture(scope="session")
def server(bento: BentoRef) -> Iterator[Server]:
    port = free_port()
    with tempfile.TemporaryFile() as log, running(bento.path, port=port, log=log) as process:
        wait_until_ready(process, port=port)
        yield Server(port=port, log=log)


@pytest.fixture
def images() -> list[bytes]:
    return [draw_image(seed, kind="PNG" if seed % 3 == 0 else "JPEG") for seed in range(24)]

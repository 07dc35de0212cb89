"""One tiny classifier, its Bento and its running server for all tests of components that ask one."""

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import numpy as np
import pytest
from PIL import Image

from components.core.digests import sample_id
from components.core.manifest import ManifestWriter
from components.core.samples import SampleSet

if TYPE_CHECKING:
    from components.packaging.building import BentoRef

ARCHITECTURE = {"family": "convnet", "num_classes": 6, "widths": [8, 16], "blocks": [1, 1]}
CLASSES = ("mug", "lamp", "chair", "desk", "sofa", "shelf")
VERSION_INFO = {"version": "7", "workload": "products"}
NUM_IMAGES = 24


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
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((size_px, size_px), Image.Resampling.BILINEAR).save(file, kind)
    return file.getvalue()


@pytest.fixture
def images() -> list[bytes]:
    return [draw_image(seed, kind="PNG" if seed % 3 == 0 else "JPEG") for seed in range(NUM_IMAGES)]


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the model, its Bento and what it is asked."""
    return tmp_path_factory.mktemp("served")


@pytest.fixture(scope="session")
def model_folder(served: Path) -> Path:
    import torch

    from components.models.artefacts import ModelSpec, save_model
    from components.models.networks.registry import build_network

    torch.manual_seed(3)
    spec = ModelSpec(architecture=ARCHITECTURE, classes=CLASSES, size_px=32)
    save_model(served / "model", build_network(ARCHITECTURE), spec)
    return served / "model"


@pytest.fixture(scope="session")
def bento_home(served: Path) -> Path:
    return served / ".home" / "bento"


@pytest.fixture(scope="session")
def bento(model_folder: Path, bento_home: Path) -> "BentoRef":
    from components.packaging.building import build_bento
    from components.workloads.classification.service import SERVICE

    return build_bento(model_folder, service=SERVICE, version_info=VERSION_INFO, bento_home=bento_home)


@pytest.fixture(scope="session")
def server(bento: "BentoRef") -> Iterator[Server]:
    from components.serving.server import free_port, running, wait_until_ready

    port = free_port()
    with tempfile.TemporaryFile() as log, running(bento.path, port=port, log=log) as process:
        wait_until_ready(process, port=port)
        yield Server(port=port, log=log)


@pytest.fixture(scope="session")
def search(served: Path) -> SampleSet:
    """A search split of drawn images, without a table of samples: one question an image."""
    folder = served / "photos" / "search"
    with ManifestWriter(folder) as writer:
        for seed in range(NUM_IMAGES):
            data = draw_image(seed)
            row = {"sample_id": sample_id(data), "image": {"bytes": data, "path": None}}
            writer.write(row | {"label": CLASSES[seed % 6], "split": "search"})
    return SampleSet(images=folder, path=served / "samples" / "search.parquet")

"""Drawn sources: three products, a few photos of each, parameters for tiny networks."""

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from components.core import samples
from components.core.digests import sample_id
from components.core.files import write_json, write_text
from components.core.manifest import ManifestWriter, Split
from components.core.workspace import Workspace
from components.models.identity import model_digest
from components.workloads.classification.questions import ask_classes
from components.workloads.products.workload import WORKLOAD
from flows.layout import filled_params, lay_out

PRODUCTS = {"ball": (210, 40, 40), "box": (40, 160, 60), "can": (50, 70, 210)}
PARAMS: dict[str, Any] = {
    "workload": "products",
    "catalog": "drawn",
    "validation": {"small_side_px": 16, "share_tolerance": 0.5, "max_class_ratio": 20},
    "synthesis": {"num_per_class": 8, "size_px": 32},
    "training": {
        "size_px": 24,
        "batch": 16,
        "flip_target": 0.1,
        "candidates": {"plain": {"widths": [8, 16], "blocks": [1, 1], "epochs": 8, "learning_rate": 0.01}},
    },
    "selection": {"policy": {"limit": 0.3, "bootstrap_accuracy": 0.3}},
    "packaging": {"parity_samples": 8},
    "approval": {"name": "tests", "auto": True},
}


def make_workspace(workspace: Workspace) -> None:
    """A workspace of products like any other, under DVC without git."""
    lay_out(workspace.root, WORKLOAD, git=False)
    write_params(workspace)


def draw_product(name: str, rng: np.random.Generator, *, photo: bool) -> Image.Image:
    """A coloured shape on white, or on a noisy ground."""
    size = 48
    ground = rng.integers(60, 200, (size, size, 3)) if photo else np.full((size, size, 3), 255)
    image = Image.fromarray(ground.astype(np.uint8))
    left, top = (int(v) for v in (rng.integers(4, 14, 2) if photo else (9, 9)))
    box = (left, top, left + 28, top + 28)
    colour = tuple(int(c) for c in np.clip(np.array(PRODUCTS[name]) + (rng.normal(0, 12, 3) if photo else 0), 0, 255))
    pen = ImageDraw.Draw(image)
    {"ball": pen.ellipse, "box": pen.rectangle, "can": pen.rounded_rectangle}[name](box, fill=colour)
    return image


def draw_sources(folder: Path, *, num_photos: int = 60, seed: int = 0) -> dict[str, str]:
    """Write catalogue, photos and backgrounds as folders of files; returns their addresses."""
    rng = np.random.default_rng(seed)
    for name in PRODUCTS:
        (folder / "catalog" / name).mkdir(parents=True)
        draw_product(name, rng, photo=False).save(folder / "catalog" / name / "icon.png")
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(num_photos):
            draw_product(name, rng, photo=True).save(folder / "photos" / name / f"{number}.jpg", quality=92)
    (folder / "backgrounds").mkdir()
    for number in range(3):
        ground = rng.integers(0, 255, (48, 48, 3)).astype(np.uint8)
        Image.fromarray(ground).save(folder / "backgrounds" / f"{number}.jpg")
    return {name: str(folder / name) for name in ("catalog", "photos", "backgrounds")}


def write_params(workspace: Workspace, **changes: Any) -> None:
    """Write params.yaml with whole sections, or parts of training, replaced."""
    params = {**PARAMS, **{key: value for key, value in changes.items() if key != "candidates"}}
    if "candidates" in changes:
        params["training"] = {**PARAMS["training"], "candidates": changes["candidates"]}
    write_text(workspace.params, filled_params(WORKLOAD, params))


def draw_tinted(index: int, rng: np.random.Generator, *, signal: int) -> NDArray[np.int64]:
    """Noise of 16 px with a faint colour of the class; at 30 a tiny network errs on some images and not on most."""
    pixels = rng.integers(0, 150, (16, 16, 3)) + rng.integers(0, 40, 3)
    pixels[..., index % 3] += signal
    return pixels


def draw_striped(index: int, rng: np.random.Generator, *, signal: int) -> NDArray[np.int64]:
    """Noise of 32 px with stripes one pixel wide that tell the class, and vanish when the image is made smaller."""
    rows, columns = np.mgrid[:32, :32]
    stripes = (rows, columns, rows + columns)[index % 3] % 2
    return (rng.normal(110, 12, (32, 32, 3)) + signal * (2 * stripes[..., None] - 1)).clip(0, 255).astype(np.int64)


def lay_out_splits(
    workspace: Workspace,
    *,
    num_search: int = 90,
    num_certify: int = 150,
    signal: int = 30,
    num_classes: int = 3,
    draw: Callable[..., NDArray[np.int64]] = draw_tinted,
) -> None:
    """Validated splits of drawn noise and an empty synthesis, as if the stages before training had run.

    `signal` is how much a class shows of what tells it.
    """
    folder = workspace.stage("validation")
    for number, (split, num) in enumerate((("train", 96), ("search", num_search), ("certify", num_certify))):
        rng = np.random.default_rng(number)
        with ManifestWriter(folder / "photos" / split) as writer:
            for index in range(num):
                pixels = draw(index, rng, signal=signal)
                file = io.BytesIO()
                Image.fromarray(pixels.astype(np.uint8)).save(file, format="PNG")
                label, data = list(PRODUCTS)[index % num_classes], file.getvalue()
                writer.write({"sample_id": sample_id(data), "image": {"bytes": data, "path": None}, "label": label})
    lay_out_samples(workspace)
    write_json(folder / "classes.json", list(PRODUCTS)[:num_classes])
    for empty in (workspace.stage("synthesis"), workspace.replay):
        with ManifestWriter(empty):
            pass
    write_json(workspace.stage("synthesis") / "recipe.json", {"assets": []})
    write_json(workspace.baseline / "baseline.json", {"model": None, "anchor_version": None})


def lay_out_samples(workspace: Workspace) -> None:
    """The questions of the splits that lie there, as validation of products asks them."""
    splits: tuple[Split, ...] = ("train", "search", "certify")
    asked = ask_classes({split: workspace.samples(split).images for split in splits})
    for split in splits:
        samples.write(workspace.samples(split).path, asked[split])


def pin_champion(workspace: Workspace, model: Path) -> str:
    """Make a model folder the pinned champion of a workspace, as a release would; returns its digest."""
    shutil.copytree(model, workspace.baseline / "model", dirs_exist_ok=True)
    digest = model_digest(workspace.baseline / "model")
    write_json(workspace.baseline / "baseline.json", {"model": digest, "anchor_version": None})
    return digest

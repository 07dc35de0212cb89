"""Drawn sources: three products, a few photos of each, parameters for tiny networks."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from components.core.workspace import Workspace
from flows.demo import write_all_params

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


def draw_sources(folder: Path, *, num_photos: int = 60, seed: int = 0) -> dict[str, str | None]:
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
    write_all_params(workspace, params)

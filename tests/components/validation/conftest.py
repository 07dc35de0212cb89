"""A small drawn shop: catalogue, photos and backgrounds as manifests, into which tests plant faults."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from components.core.digests import sample_id
from components.core.manifest import ManifestWriter, Source

Row = dict[str, Any]
Sources = dict[Source, Path]


def draw(seed: int, size: tuple[int, int] = (96, 80), kind: str = "PNG", **options: object) -> bytes:
    """Twelve coloured ellipses; every seed is a different picture."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, w, h = rng.integers(0, 60, 2).tolist() + rng.integers(10, 40, 2).tolist()
        pen.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def row(data: bytes, path: str, label: str | None, **more: Any) -> Row:
    return {"sample_id": sample_id(data), "image": {"bytes": data, "path": path}, "label": label, **more}


def shop() -> dict[str, list[Row]]:
    """Three classes, 20 photos each, six backgrounds, without a fault."""
    classes = ["cup", "lamp", "sofa"]
    return {
        "catalog": [row(draw(i), f"{name}/icon.png", name) for i, name in enumerate(classes)],
        "photo": [
            row(draw(1000 * i + k), f"{name}/{k:02d}.png", name)
            for i, name in enumerate(classes, start=1)
            for k in range(20)
        ],
        "background": [row(draw(9000 + k), f"{k}.png", None) for k in range(6)],
    }


def write(folder: Path, rows: Mapping[str, list[Row]]) -> Sources:
    for source, items in rows.items():
        with ManifestWriter(folder / source, rows_per_shard=16) as writer:
            for item in items:
                writer.write({"source": source, **item})
    return {"catalog": folder / "catalog", "photo": folder / "photo", "background": folder / "background"}


@pytest.fixture
def drawn_shop() -> dict[str, list[Row]]:
    return shop()


@pytest.fixture
def draw_image() -> Callable[..., bytes]:
    return draw


@pytest.fixture
def make_row() -> Callable[..., Row]:
    return row


@pytest.fixture
def write_shop(tmp_path: Path) -> Callable[[Mapping[str, list[Row]]], Sources]:
    return lambda rows: write(tmp_path / "in", rows)

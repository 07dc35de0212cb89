"""Names the built-in product classes; a class is added by writing its builder and a line here."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from components.core.errors import ConfigError
from components.synthesis.builtin import furniture, tableware
from components.synthesis.builtin.looks import Look
from components.synthesis.builtin.parts import Part

CLASSES: dict[str, Callable[[Look], list[Part]]] = {
    "armchair": furniture.armchair,
    "bench": furniture.bench,
    "bottle": tableware.bottle,
    "bowl": tableware.bowl,
    "cabinet": furniture.cabinet,
    "carton": tableware.carton,
    "chair": furniture.chair,
    "desk": furniture.desk,
    "desk_lamp": furniture.desk_lamp,
    "floor_lamp": furniture.floor_lamp,
    "jar": tableware.jar,
    "mug": tableware.mug,
    "pan": tableware.pan,
    "shelf": furniture.shelf,
    "side_table": furniture.side_table,
    "sofa": furniture.sofa,
    "stool": furniture.stool,
    "table": furniture.table,
    "teapot": tableware.teapot,
    "vase": tableware.vase,
}


def build(label: str, look: Look) -> list[Part]:
    """One variant of a class, its parts scaled so that the whole fits the unit ball around the origin."""
    parts = CLASSES[label](look)
    points = np.concatenate([part.vertices for part in parts])
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    return [
        Part(vertices=(p.vertices - centre) / np.float32(radius), normals=p.normals, faces=p.faces, finish=p.finish)
        for p in parts
    ]


def known_classes(labels: Sequence[str] | None) -> list[str]:
    """The labels asked for, or all; ConfigError names those that do not exist."""
    chosen = list(CLASSES) if labels is None else list(labels)
    unknown = sorted(set(chosen) - set(CLASSES))
    if unknown or not chosen:
        raise ConfigError(f"unknown built-in classes {unknown}: choose among {', '.join(CLASSES)}")
    return chosen

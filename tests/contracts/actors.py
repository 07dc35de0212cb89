"""What differs between workloads in the story that each of them is told: sources, settings, how one asks and hears."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from tests.contracts.foreign_packages import FOREIGN
from tests.flows.drawn import PARAMS, draw_sources

Answer = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Actor:
    """A workload in the story.

    `draw` makes its sources in a folder and says where each is. `settings` are its sections of params.yaml but for
    training, of which `train` makes the section of some recipes by name; there are two recipes. A question is asked
    with its images in `fields`; `hear` says what an answer is, in the words of the verdict table's `prediction`.
    """

    draw: Callable[[Path], Mapping[str, str]]
    settings: Mapping[str, Any]
    train: Callable[[Mapping[str, Any]], Any]
    recipes: tuple[Mapping[str, Any], Mapping[str, Any]]
    fields: tuple[str, ...]
    hear: Callable[[Answer], str]
    package: Path | None = None  # of a workload that is not built in


def draw_people(folder: Path, *, num_people: int = 200, seed: int = 0) -> dict[str, str]:
    """Blurred patterns, one a person, in changing light and never held quite still: three photos each."""
    rng = np.random.default_rng(seed)
    for person in range(num_people):
        own = folder / "photos" / f"person-{person:03}"
        own.mkdir(parents=True)
        face = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((38, 38), Image.Resampling.BICUBIC)
        for number in range(3):
            left, top = (int(value) for value in rng.integers(0, 6, 2))
            seen = np.asarray(face.crop((left, top, left + 32, top + 32)), np.float64)
            lit = 128 + rng.uniform(0.5, 1.0) * (seen - 128) + rng.normal(0, 12, 3) + rng.normal(0, 12, seen.shape)
            photo = Image.fromarray(lit.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
            photo.save(own / f"{number}.png")
    return {"photos": str(folder / "photos")}


def train_products(recipes: Mapping[str, Any]) -> dict[str, Any]:
    """The training section of a classifier: nothing but these recipes."""
    return {**PARAMS["training"], "candidates": dict(recipes), "reseed": False}


# the story needs a second champion
LENIENT = {
    "limit": 0.9,
    "improvement": {"rule": "none"},
    "slices": {"columns": []},
}
SMALL = PARAMS["training"]["candidates"]["plain"]
ACTORS = {
    "products": Actor(
        draw=draw_sources,
        settings={
            **{name: PARAMS[name] for name in ("validation", "synthesis")},
            "selection": {"policy": {**PARAMS["selection"]["policy"], **LENIENT}},
        },
        train=train_products,
        recipes=(SMALL, {**SMALL, "epochs": 9}),
        fields=("image",),
        hear=lambda answer: str(answer["predictions"][0]["label"]),
    ),
    "pairs": Actor(
        draw=draw_people,
        settings={
            "validation": {"shares": {"train": 0.4, "search": 0.25, "certify": 0.35}, "small_side_px": 16},
            "selection": {
                "policy": {
                    "limit": 0.3,
                    "slices": {"limit": 0.4},
                    "improvement": {"margin": 0.2},
                    "bootstrap_accuracy": 0.3,
                }
            },
        },
        train=dict,
        recipes=({"width": 16, "steps": 60}, {"width": 16, "steps": 80}),
        fields=("a", "b"),
        hear=lambda answer: "same" if answer["same"] else "different",
        package=FOREIGN,
    ),
}

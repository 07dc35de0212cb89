"""Makes the built-in catalogue: product models in several variants, rendered from several sides.

Each row is a function of (seed, class, number) alone. Mitsuba uses all cores by itself, so one process
renders; variants are told apart by `group`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.digests import sample_id
from components.synthesis.builtin.classes import CLASSES, build, known_classes
from components.synthesis.builtin.looks import Look
from components.synthesis.builtin.studio import View, photograph
from components.synthesis.picture.pictures import bounding_box, encode_png
from components.synthesis.runs.rows import row_rng
from components.synthesis.runs.shards import fill_shards
from components.synthesis.runs.work import Row

_GENERATOR, _VERSION = "detent.catalog", 1
_VIEWS_PER_VARIANT = 3
_ROWS_PER_SHARD = 64
_NUM_PATHS = 16


def render_catalog(
    out: Path, *, num_per_class: int, size_px: int, seed: int, classes: Sequence[str] | None = None
) -> int:
    """Render `num_per_class` pictures of each class into the manifest folder `out`; returns the number of rows.

    `classes` names built-in classes (all by default; ConfigError for others). A killed run goes on.
    """
    job = _Catalog(labels=known_classes(classes), num_per_class=num_per_class, size_px=size_px, seed=seed)
    num_rows = len(job.labels) * num_per_class
    recipe = {
        "generator": _GENERATOR,
        "version": _VERSION,
        "seed": seed,
        "classes": job.labels,
        "num_per_class": num_per_class,
        "size_px": size_px,
    }
    num_shards = -(-num_rows // _ROWS_PER_SHARD)
    fill_shards(out, job, recipe=recipe, num_shards=num_shards, title="Rendering the catalogue")
    return num_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class _Catalog:
    labels: list[str]
    num_per_class: int
    size_px: int
    seed: int

    def rows(self, shard: int) -> list[Row]:
        start = shard * _ROWS_PER_SHARD
        stop = min(start + _ROWS_PER_SHARD, len(self.labels) * self.num_per_class)
        return [self._row(self.labels[n % len(self.labels)], n // len(self.labels)) for n in range(start, stop)]

    def _row(self, label: str, number: int) -> Row:
        variant, place = number // _VIEWS_PER_VARIANT, list(CLASSES).index(label)
        parts = build(label, Look(rng=row_rng(self.seed, place, variant), taste="shop"))
        rng = row_rng(self.seed, place, variant, number)
        view = View(
            azimuth_deg=float(rng.uniform(-55, 55)),
            elevation_deg=float(rng.uniform(8, 35)),
            distance=float(rng.uniform(4.0, 4.4)),
        )
        path_seed = int(rng.integers(2**31))
        rgb, mask = photograph(parts, view, size_px=self.size_px, num_paths=_NUM_PATHS, seed=path_seed)
        encoded = encode_png(rgb)
        place_of_row = {"seed": self.seed, "label": label, "number": number, "size_px": self.size_px}
        return {
            "sample_id": sample_id(encoded),
            "image": {"bytes": encoded, "path": None},
            "label": label,
            "source": "render",
            "group": f"{label}-{variant:04d}",
            "parents": [],
            "recipe": json.dumps({"generator": _GENERATOR, "version": _VERSION, **place_of_row}, sort_keys=True),
            "width_px": self.size_px,
            "height_px": self.size_px,
            "mask": encode_png(mask),
            "box": bounding_box(mask),
            "f_azimuth_deg": view.azimuth_deg,
            "f_elevation_deg": view.elevation_deg,
        }

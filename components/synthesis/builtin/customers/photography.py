"""Takes the built-in "customers' photos": the same kinds of product as in the catalogue, seen in real life.

Nothing is shared with the generators of training images: another renderer, other variants and finishes,
rooms, clutter, lamps and a phone camera. Each photo is a function of (seed, object, number) alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from components.core.digests import sample_id
from components.synthesis.builtin.classes import CLASSES, build
from components.synthesis.builtin.customers.camera import expose, place_camera
from components.synthesis.builtin.customers.room import choose_lighting
from components.synthesis.builtin.customers.scene import Body, Scene, body_from_parts, draw_scene, set_beside
from components.synthesis.builtin.looks import Look
from components.synthesis.picture.pictures import encode_jpeg
from components.synthesis.runs.rows import row_rng
from components.synthesis.runs.shards import fill_shards
from components.synthesis.runs.work import Row

_GENERATOR, _VERSION = "detent.customers", 1
_PHOTOS_PER_OBJECT = 1  # so that photos are independent, as the bounds of the gate take them to be
_ROWS_PER_SHARD = 240
_NUM_OTHERS = 24  # things that stand about in the photos of one shard
_SUPERSAMPLING = 2
_STREAM_OTHERS, _STREAM_OBJECT, _STREAM_PHOTO = 0, 1, 2


def photograph_customers(out: Path, *, num_photos: int, size_px: int, seed: int) -> int:
    """Take `num_photos` photos of all built-in classes into the manifest folder `out`; returns their number.

    `group` names the photographed object. A killed run goes on.
    """
    recipe = {
        "generator": _GENERATOR,
        "version": _VERSION,
        "seed": seed,
        "num_photos": num_photos,
        "size_px": size_px,
    }
    num_shards = -(-num_photos // _ROWS_PER_SHARD)
    job = _Customers(num_photos=num_photos, size_px=size_px, seed=seed, rows_per_shard=_ROWS_PER_SHARD)
    fill_shards(out, job, recipe=recipe, num_shards=num_shards, title="Taking customers' photos")
    return num_photos


@dataclass(frozen=True, slots=True, kw_only=True)
class _Customers:
    num_photos: int
    size_px: int
    seed: int
    rows_per_shard: int

    def rows(self, shard: int) -> list[Row]:
        labels = list(CLASSES)
        rng = row_rng(self.seed, _STREAM_OTHERS, shard)
        others = [_belonging(labels[rng.integers(len(labels))], rng) for _ in range(_NUM_OTHERS)]
        start = shard * self.rows_per_shard
        stop = min(start + self.rows_per_shard, self.num_photos)
        rows: list[Row] = []
        for number in range(start // _PHOTOS_PER_OBJECT, -(-stop // _PHOTOS_PER_OBJECT)):
            label = labels[number % len(labels)]
            product = _belonging(label, row_rng(self.seed, _STREAM_OBJECT, number))
            for view in range(_PHOTOS_PER_OBJECT):
                rows.append(self._photo(label, product, others, (number, view)))
        return rows[: stop - start]

    def _photo(self, label: str, product: Body, others: list[Body], place: tuple[int, int]) -> Row:
        number, view = place
        rng = row_rng(self.seed, _STREAM_PHOTO, number, view)
        target = np.zeros(3, np.float32)
        camera, azimuth, elevation = place_camera(rng, size_px=self.size_px * _SUPERSAMPLING, target=target)
        lighting = choose_lighting(rng)
        picks = rng.choice(len(others), size=int(rng.choice(4, p=[0.45, 0.35, 0.15, 0.05])), replace=False)
        beside = [
            set_beside(others[pick], rng, floor_z=product.floor_z, toward=camera.position - target) for pick in picks
        ]
        linear, hidden = draw_scene(Scene(product=product, others=beside, lighting=lighting), camera, rng)
        pixels, blur = expose(linear, rng, size_px=self.size_px)
        encoded = encode_jpeg(pixels, int(rng.integers(35, 92)))
        made = {"generator": _GENERATOR, "version": _VERSION, "seed": self.seed, "object": number, "view": view}
        return {
            "sample_id": sample_id(encoded),
            "image": {"bytes": encoded, "path": None},
            "label": label,
            "source": "photo",
            "group": f"customer-{number:06d}",
            "parents": [],
            "recipe": json.dumps(made | {"size_px": self.size_px}, sort_keys=True),
            "width_px": self.size_px,
            "height_px": self.size_px,
            "f_azimuth_deg": azimuth,
            "f_elevation_deg": elevation,
            "f_light": lighting.name,
            "f_clutter": len(beside),
            "f_occlusion": hidden,
            "f_blur": blur,
        }


def _belonging(label: str, rng: np.random.Generator) -> Body:
    return body_from_parts(build(label, Look(rng=rng, taste="customer")), rng)

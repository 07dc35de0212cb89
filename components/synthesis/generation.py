"""Makes training images from a catalogue: products cut out of their pictures, pasted on backgrounds.

Shards are pure functions of (recipe, seed, shard number), and every row of (recipe, seed, shard, index), so
that a killed run goes on and any image can be made again.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core import manifest
from components.core.digests import digest_json, sample_id
from components.core.errors import DataError
from components.core.progress import track
from components.synthesis.backgrounds import load_backgrounds
from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.composition import Assets, Paste, compose
from components.synthesis.pastes.cutouts import Cutout, DoubtfulCutout, cut_out
from components.synthesis.pictures import bounding_box, encode_png
from components.synthesis.shards import Row, fill_shards, row_rng

_GENERATOR, _VERSION = "detent.pastes", 1
_ROWS_PER_SHARD = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class SynthesisSummary:
    """What a run made: images and classes, from which assets, how fast (0 when nothing was left to do)."""

    num_images: int
    num_classes: int
    num_cutouts: int
    num_backgrounds: int
    num_shards_made: int
    images_per_s: float
    doubtful: tuple[DoubtfulCutout, ...]

    def as_json(self) -> dict[str, Any]:
        """The summary as a JSON value, for reports."""
        return asdict(self) | {"doubtful": [asdict(item) for item in self.doubtful]}


def synthesise(
    catalog: Path, backgrounds: Path | None, config: SynthesisConfig, *, out: Path, seed: int
) -> SynthesisSummary:
    """Fill the manifest folder `out` with `config.num_per_class` pastes of each class of the catalogue.

    `catalog` and `backgrounds` are manifest folders; without backgrounds, drawn rooms and shelves serve.
    Catalogue pictures that cannot be used are listed in the summary; DataError when the catalogue is empty
    or a class is left with none. Work goes on where a killed run stopped.
    """
    cutouts, doubtful, digest = _read_catalog(catalog, config.size_px)
    scenes = load_backgrounds(backgrounds, size_px=config.size_px, seed=seed)
    recipe = {
        "generator": _GENERATOR,
        "version": _VERSION,
        "seed": seed,
        "config": config.model_dump(mode="json"),
        "catalog": digest,
        "backgrounds": digest_json([scene.sample_id for scene in scenes]),
    }
    num_images = len(cutouts) * config.num_per_class
    num_shards = -(-num_images // _ROWS_PER_SHARD)
    assets = Assets(cutouts=cutouts, backgrounds=scenes)
    job = _Pastes(assets=assets, config=config, recipe=recipe, num_images=num_images, rows_per_shard=_ROWS_PER_SHARD)
    started = time.perf_counter()
    made = fill_shards(out, job, recipe=recipe, num_shards=num_shards, title="Pasting images")
    elapsed_s = time.perf_counter() - started
    return SynthesisSummary(
        num_images=num_images,
        num_classes=len(cutouts),
        num_cutouts=sum(len(choices) for choices in cutouts.values()),
        num_backgrounds=len(scenes),
        num_shards_made=made,
        images_per_s=min(made * _ROWS_PER_SHARD, num_images) / elapsed_s if made else 0.0,
        doubtful=tuple(doubtful),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pastes:
    assets: Assets
    config: SynthesisConfig
    recipe: dict[str, Any]
    num_images: int
    rows_per_shard: int

    def rows(self, shard: int) -> list[Row]:
        left = self.num_images - shard * self.rows_per_shard
        return [self._row(shard, index) for index in range(min(self.rows_per_shard, left))]

    def _row(self, shard: int, index: int) -> Row:
        labels = list(self.assets.cutouts)
        label = labels[(shard * self.rows_per_shard + index) % len(labels)]
        paste = compose(self.assets, self.config, label, row_rng(self.recipe["seed"], shard, index))
        return self._described(paste) | {
            "recipe": json.dumps(self.recipe | {"shard": shard, "index": index}, sort_keys=True),
        }

    def _described(self, paste: Paste) -> Row:
        licences = [licence for licence in (paste.cutout.licence, paste.background.licence) if licence]
        return {
            "sample_id": sample_id(paste.encoded),
            "image": {"bytes": paste.encoded, "path": None},
            "label": paste.cutout.label,
            "split": "train",
            "source": "paste",
            "group": paste.cutout.group,
            "parents": [paste.cutout.sample_id, paste.background.sample_id],
            "licence": "; ".join(dict.fromkeys(licences)) or None,
            "width_px": self.config.size_px,
            "height_px": self.config.size_px,
            "mask": encode_png(paste.mask),
            "box": bounding_box(paste.mask),
            **paste.factors,
        }


def _read_catalog(catalog: Path, size_px: int) -> tuple[dict[str, list[Cutout]], list[DoubtfulCutout], str]:
    """Usable cut-outs by class, the doubtful ones, and the digest of what was read."""
    if not manifest.count(catalog):
        raise DataError(f"the catalogue {catalog} has no rows; give it at least one picture of each product")
    names = ["sample_id", "image", "label", "group", "licence", "mask"]
    known = set(manifest.dataset(catalog).schema.names)
    rows = manifest.read(catalog, [name for name in names if name in known]).to_pylist()
    cutouts: dict[str, list[Cutout]] = defaultdict(list)
    doubtful: list[DoubtfulCutout] = []
    for row in track(rows, "Cutting out products"):
        result = cut_out(row, size_px=size_px)
        if isinstance(result, Cutout):
            cutouts[result.label].append(result)
        else:
            doubtful.append(result)
    _require_all_classes({str(row["label"]) for row in rows}, cutouts, doubtful)
    digest = digest_json(sorted([str(row["sample_id"]), str(row["label"])] for row in rows))
    return {label: cutouts[label] for label in sorted(cutouts)}, doubtful, digest


def _require_all_classes(labels: set[str], cutouts: dict[str, list[Cutout]], doubtful: list[DoubtfulCutout]) -> None:
    lost = sorted(labels - set(cutouts))
    if lost:
        why = "; ".join(f"{item.label}: {item.reason}" for item in doubtful if item.label in lost)
        raise DataError(f"no usable catalogue picture is left for {', '.join(lost)} ({why}); replace these pictures")

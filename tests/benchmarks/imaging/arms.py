"""What the benchmark of use trains on: sets of synthetic images, and which of them, or of photos, an arm gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pyarrow as pa

from components.core import manifest
from components.datasets.sources import ingest, ingest_nothing
from components.synthesis.config import SynthesisConfig
from components.synthesis.picture.contact_sheet import draw_contact_sheet
from components.synthesis.stock import read_stock
from components.workloads.products.workload import PHOTOS
from tests.benchmarks.figures import SHORT
from tests.benchmarks.imaging.compositing import Style, composite
from tests.benchmarks.imaging.lab import GROCERY, HOME, backgrounds, icons, make_images

Kind = Literal["main", "ablation"]
FOLDER = HOME / "use"
SIZE_PX = 128
PER_CLASS = 20 if SHORT else 100
SEARCH_SHARE = 0.1
_WRAPS = {
    "wrap_share": 0.3,
    "renders": {
        "views_per_model": 1 if SHORT else 2,
        "num_paths": 24 if SHORT else 96,
        "azimuth_deg": (-55.0, 55.0),  # beyond, a wrap shows what its picture never did
        "elevation_deg": (0.0, 35.0),
    },
}
_PERFECT_CAMERA = {
    "exposure_ev": (0.0, 0.0),
    "warmth": 0.0,
    "tint": 0.0,
    "contrast": (0.0, 0.0),
    "shading": 0.0,
    "vignette": 0.0,
    "blur_px": 0.0,
    "motion_px": 0.0,
    "noise": 0.0,
    "jpeg_quality": (90, 90),
}
SETS: dict[str, Style | Mapping[str, Any]] = {
    "white": "white",
    "plain": "plain",
    "pastes": {},
    "wraps": _WRAPS,
    "no heaps": {"pastes": {"heap_probability": 0.0, "row_probability": 0.0}},
    "no harmonising": {"pastes": {"harmonise": 0.0}},
    "no camera": {"camera": _PERFECT_CAMERA},
    "no occlusion": {"pastes": {"occlusion_probability": 0.0, "held_probability": 0.0}},
}


@dataclass(frozen=True, kw_only=True)
class Arm:
    """What a network is trained on: a set of synthetic images or none, and the photos or none."""

    name: str
    images: str | None
    photos: bool = False
    kind: Kind = "main"


ARMS = (
    Arm(name="white background", images="white"),
    Arm(name="plain paste", images="plain"),
    Arm(name="this project's pastes", images="pastes"),
    Arm(name="pastes and wrapped renders", images="wraps"),
    Arm(name="real photos", images=None, photos=True),
    Arm(name="real photos and pastes", images="pastes", photos=True),
    Arm(name="pastes without heaps and rows", images="no heaps", kind="ablation"),
    Arm(name="pastes without harmonising", images="no harmonising", kind="ablation"),
    Arm(name="pastes without the camera model", images="no camera", kind="ablation"),
    Arm(name="pastes without occlusion", images="no occlusion", kind="ablation"),
)


def make_set(name: str, seed: int) -> Path:
    """The manifest of a set of synthetic images, PER_CLASS of each of the 81 classes."""
    out, recipe = FOLDER / "images" / f"{name}-{seed}", SETS[name]
    if isinstance(recipe, str):
        stock = read_stock(icons(), backgrounds(), SynthesisConfig(size_px=SIZE_PX), seed=seed)
        number = PER_CLASS * len(stock.classes)
        composite(stock, cast(Style, recipe), number, size_px=SIZE_PX, seed=seed, out=out)
    else:
        make_images(icons(), {"num_per_class": PER_CLASS, "size_px": SIZE_PX, **recipe}, out=out, seed=seed)
    return out


def deal_photos(seed: int) -> tuple[Path, Path]:
    """Manifests of all photos but the held-back ones: nine tenths to train on, one to stop early by."""
    train, search = (FOLDER / f"photos-{seed}" / part for part in ("train", "search"))
    whole = FOLDER / "photos"
    if not whole.is_dir():
        ingest(str(GROCERY / "train"), out=whole, source=PHOTOS)
    if not (search / "shard-00000.parquet").is_file():
        table = manifest.read(whole)
        searched = np.random.default_rng(seed).random(table.num_rows) < SEARCH_SHARE
        manifest.write_table(train / "shard-00000.parquet", table.filter(pa.array(~searched)))
        manifest.write_table(search / "shard-00000.parquet", table.filter(pa.array(searched)))
    return train, search


def held_back() -> Path:
    """The photos that nothing is trained or chosen on."""
    out = FOLDER / "val"
    if not out.is_dir():
        ingest(str(GROCERY / "val"), out=out, source=PHOTOS)
    return out


def nothing() -> Path:
    """A manifest without rows, for what an arm does not get."""
    out = FOLDER / "nothing"
    ingest_nothing(out, PHOTOS)
    return out


def draw_sheets(seed: int) -> Path:
    """Photos above pastes above wrapped renders of the same classes, eight each; looked at before numbers are."""
    sources = {"photo": FOLDER / "photos", "plain": make_set("plain", seed), "wraps": make_set("wraps", seed)}
    labels = sorted(set(manifest.read(sources["photo"], ["label"])["label"].to_pylist()))[::14]
    rows = []
    for source, folder in sources.items():
        for row in manifest.read(folder, ["label", "image", "source"]).to_pylist():
            if row["label"] in labels:
                kind = {"photo": "1 photo", "plain": "2 plain"}.get(source)
                kind = kind or ("4 wrap" if row["source"] == "render" else "3 paste")
                rows.append({"label": f"{row['label'][:9]} {kind}", "image": row["image"]})
    return draw_contact_sheet(rows, HOME / "use.png")

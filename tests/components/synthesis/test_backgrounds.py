"""Backgrounds always cover the frame, and drawn ones depend on the seed alone."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from components.core.manifest import write_shard
from components.synthesis.backgrounds import BACKGROUNDS, Background
from components.synthesis.config import SynthesisConfig
from components.synthesis.picture.pictures import encode_png
from components.synthesis.stock import Delivery, Stock


def manifest_of(folder, *images: bytes):
    rows = [{"sample_id": f"{i:032d}", "image": {"bytes": data, "path": None}} for i, data in enumerate(images)]
    write_shard(folder / "shard-00000.parquet", rows)
    return folder


def deliver(folder: Path | None, *, size_px: int, seed: int = 0) -> Delivery[Sequence[Background]]:
    terms = SynthesisConfig(size_px=size_px).terms(seed)
    return Stock(catalog=None, backgrounds=folder, terms=terms).read(BACKGROUNDS)


def test_small_photos_are_scaled_up_and_keep_their_shape(tmp_path):
    photo = np.zeros((10, 30, 3), np.uint8)
    photo[:, 15:] = 255
    (background,) = deliver(manifest_of(tmp_path, encode_png(photo)), size_px=64).items
    height, width = background.pixels.shape[:2]
    assert min(height, width) >= 64
    assert width == pytest.approx(3 * height, abs=3)
    assert background.kind == "photo"


def test_a_sliver_still_covers_the_frame(tmp_path):
    thin = manifest_of(tmp_path, encode_png(np.zeros((2, 900, 3), np.uint8)))
    (background,) = deliver(thin, size_px=32).items
    assert min(background.pixels.shape[:2]) >= 32


def test_grey_photos_become_rgb(tmp_path):
    (background,) = deliver(manifest_of(tmp_path, encode_png(np.zeros((40, 40), np.uint8))), size_px=32).items
    assert background.pixels.shape[2] == 3


def test_without_photos_rooms_shelves_tabletops_and_streets_are_drawn(tmp_path):
    drawn = deliver(None, size_px=48, seed=5).items
    assert {b.kind for b in drawn} == {"room", "shelf", "tabletop", "street"}
    assert all(min(b.pixels.shape[:2]) >= 48 and b.pixels.std() > 3 for b in drawn)
    again = deliver(manifest_of(tmp_path), size_px=48, seed=5).items
    assert [b.sample_id for b in again] == [b.sample_id for b in drawn]
    assert deliver(None, size_px=48, seed=6).items[0].sample_id != drawn[0].sample_id


def test_photos_that_cannot_be_decoded_are_sorted_out(tmp_path):
    good = encode_png(np.zeros((40, 40, 3), np.uint8))
    found = deliver(manifest_of(tmp_path, good, b"text"), size_px=32)
    assert [item.sample_id for item in found.items] == ["0" * 32]
    assert [(asset.sample_id, asset.used, asset.drawn) for asset in found.assets] == [
        ("0" * 32, True, False),
        ("0" * 31 + "1", False, False),
    ]
    assert "cannot be decoded" in found.doubtful[0].reason

"""Backgrounds always cover the frame, and drawn ones depend on the seed alone."""

import numpy as np
import pytest

from components.core.errors import DataError
from components.core.manifest import write_shard
from components.synthesis.backgrounds import load_backgrounds, sort_backgrounds
from components.synthesis.picture.pictures import encode_png


def manifest_of(folder, *images: bytes):
    rows = [{"sample_id": f"{i:032d}", "image": {"bytes": data, "path": None}} for i, data in enumerate(images)]
    write_shard(folder / "shard-00000.parquet", rows)
    return folder


def test_small_photos_are_scaled_up_and_keep_their_shape(tmp_path):
    photo = np.zeros((10, 30, 3), np.uint8)
    photo[:, 15:] = 255
    (background,) = load_backgrounds(manifest_of(tmp_path, encode_png(photo)), size_px=64, seed=0)
    height, width = background.pixels.shape[:2]
    assert min(height, width) >= 64
    assert width == pytest.approx(3 * height, abs=3)
    assert background.kind == "photo"


def test_a_sliver_still_covers_the_frame(tmp_path):
    thin = manifest_of(tmp_path, encode_png(np.zeros((2, 900, 3), np.uint8)))
    (background,) = load_backgrounds(thin, size_px=32, seed=0)
    assert min(background.pixels.shape[:2]) >= 32


def test_grey_photos_become_rgb(tmp_path):
    (background,) = load_backgrounds(
        manifest_of(tmp_path, encode_png(np.zeros((40, 40), np.uint8))), size_px=32, seed=0
    )
    assert background.pixels.shape[2] == 3


def test_a_photo_that_cannot_be_decoded_is_named(tmp_path):
    good = encode_png(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(DataError, match="background 00000000000000000000000000000001"):
        load_backgrounds(manifest_of(tmp_path, good, b"text"), size_px=32, seed=0)


def test_without_photos_rooms_shelves_tabletops_and_streets_are_drawn(tmp_path):
    drawn = load_backgrounds(None, size_px=48, seed=5)
    assert {b.kind for b in drawn} == {"room", "shelf", "tabletop", "street"}
    assert all(min(b.pixels.shape[:2]) >= 48 and b.pixels.std() > 3 for b in drawn)
    again = load_backgrounds(manifest_of(tmp_path), size_px=48, seed=5)
    assert [b.sample_id for b in again] == [b.sample_id for b in drawn]
    assert load_backgrounds(None, size_px=48, seed=6)[0].sample_id != drawn[0].sample_id


def test_photos_that_cannot_be_decoded_are_sorted_out(tmp_path):
    good = encode_png(np.zeros((40, 40, 3), np.uint8))
    kept, faults = sort_backgrounds(manifest_of(tmp_path, good, b"text"), size_px=32, seed=0)
    assert [item.sample_id for item in kept] == ["0" * 32]
    assert "cannot be decoded" in faults["0" * 31 + "1"]

"""Near duplicates are found through re-encoding, light and a slight shift; other pictures are left apart."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from components.datasets import duplicates
from components.datasets.decoding import Pixels, decode_thumbnail
from components.datasets.duplicates import EDGES_AT_MOST, cluster, describe, edges_by_chance, near_pairs


def scene(seed: int) -> Image.Image:
    """Twelve coloured shapes on a coloured ground."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (96, 96), tuple(rng.integers(0, 255, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(12):
        x, y, w, h = rng.integers(0, 70, 2).tolist() + rng.integers(10, 40, 2).tolist()
        pen.ellipse((x, y, x + w, y + h), fill=tuple(rng.integers(0, 255, 3).tolist()))
    return image


def thumbnails(images: list[Image.Image], quality: int = 90) -> Pixels:
    made = []
    for image in images:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality)
        made.append(decode_thumbnail(buffer.getvalue(), 32, name="x").pixels)
    return np.stack(made)


def test_variants_of_a_scene_pair_up_and_scenes_do_not() -> None:
    scenes = [scene(seed) for seed in range(40)]
    brighter = [image.point(lambda v: min(255, int(v * 1.15) + 8)) for image in scenes]
    shifted = [image.crop((2, 1, 96, 95)).resize((80, 80)) for image in scenes]
    signatures = describe(np.concatenate([thumbnails(scenes), thumbnails(brighter, 40), thumbnails(shifted, 70)]))
    pairs = near_pairs(signatures)
    assert all(left % 40 == right % 40 for left, right in pairs)
    assert len(pairs) >= 0.9 * 3 * 40


def test_other_colours_of_one_shape_stay_apart() -> None:
    red, blue = scene(3), scene(3)
    blue = Image.merge("RGB", blue.split()[::-1])
    assert len(near_pairs(describe(thumbnails([red, blue])))) == 0


def on_even_ground(seed: int) -> Image.Image:
    """A thing in the middle of an even ground: all share their layout, none its inner parts."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (64, 64), (235, 235, 235))
    pen = ImageDraw.Draw(image)
    pen.rectangle((16, 4, 48, 60), fill=(120, 120, 120))
    for y in range(6, 58, 6):
        for x in range(18, 46, 6):
            pen.rectangle((x, y, x + 5, y + 5), fill=tuple(rng.integers(60, 180, 3).tolist()))
    return image


def test_things_on_one_even_ground_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [on_even_ground(seed) for seed in range(40)]
    signatures = describe(np.concatenate([thumbnails(images), thumbnails(images, 50)]))
    pairs = near_pairs(signatures)
    monkeypatch.setattr(duplicates, "edges_by_chance", lambda signatures: -1.0)
    by_layout = near_pairs(signatures)
    assert sum(left % 40 == right % 40 for left, right in pairs) >= 38
    assert num_wrong(by_layout) > 100, "hash and colours tell them apart by themselves: the test shows nothing"
    assert num_wrong(pairs) < 0.2 * num_wrong(by_layout)


def num_wrong(pairs: npt.NDArray[np.int64]) -> int:
    return int((pairs[:, 0] % 40 != pairs[:, 1] % 40).sum())


def test_what_is_asked_of_edges_is_set_by_what_chance_reaches() -> None:
    scenes = describe(thumbnails([scene(seed) for seed in range(40)]))
    alike = describe(thumbnails([on_even_ground(seed) for seed in range(40)]))
    assert edges_by_chance(scenes) < edges_by_chance(alike) <= EDGES_AT_MOST
    assert edges_by_chance(describe(thumbnails([scene(1)]))) == EDGES_AT_MOST


def test_flat_images_are_nobodys_duplicate() -> None:
    assert len(near_pairs(describe(np.full((5, 32, 32, 3), 200, dtype=np.uint8)))) == 0
    assert near_pairs(describe(np.zeros((0, 32, 32, 3), dtype=np.uint8))).shape == (0, 2)


def test_blocks_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    signatures = describe(thumbnails([scene(seed % 9) for seed in range(30)]))
    whole = near_pairs(signatures)
    monkeypatch.setattr(duplicates, "_BLOCK_PAIRS", 70)
    assert len(whole) > 20 and (near_pairs(signatures) == whole).all()


@settings(deadline=None)
@given(st.integers(1, 30), st.data())
def test_clusters_are_the_connected_components(num: int, data: st.DataObject) -> None:
    node = st.integers(0, num - 1)
    pairs = data.draw(st.lists(st.tuples(node, node), max_size=40))
    reach = [{index} for index in range(num)]
    for _ in range(num):
        for a, b in pairs:
            reach[a] |= reach[b]
            reach[b] |= reach[a]
    assert cluster(num, pairs).tolist() == [min(linked) for linked in reach]

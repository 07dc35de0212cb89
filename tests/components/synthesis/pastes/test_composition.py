"""The mask says exactly where the product is seen; factors say what was done."""

import copy

import cv2
import numpy as np
import pytest

from components.core.errors import DataError
from components.synthesis.backgrounds import Background
from components.synthesis.pastes.composition import compose
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.surroundings import Assets, beyond, crop_ground, draw_line, gather
from components.synthesis.picture.factors import FactorDraw

PLAIN = {
    "heap_probability": 0,
    "row_probability": 0,
    "held_probability": 0,
    "clutter_probability": 0,
    "occlusion_probability": 0,
    "harmonise": 0,
    "shadow": (0, 0),
}


def cutout(label: str, colour: tuple[int, int, int]) -> Cutout:
    layer = np.full((60, 40, 4), (*colour, 255), np.uint8)
    levels = (layer, layer[::2, ::2].copy(), layer[::4, ::4].copy())
    return Cutout(sample_id=label, label=label, group="g", licence=None, levels=levels)


def background(pixels: np.ndarray) -> Background:
    return Background(sample_id="b", kind="photo", licence=None, pixels=pixels)


def assets(ground: tuple[int, int] = (90, 120)) -> Assets:
    blue = np.full((*ground, 3), (30, 30, 160), np.uint8)
    cutouts = {"box": [cutout("box", (20, 230, 20))], "red": [cutout("red", (200, 10, 10))]}
    return gather(cutouts, [background(blue)])


def made(seed: int, *, of: Assets | None = None, aimed: dict | None = None, **changes: object):
    config, factors = PastesConfig.model_validate(PLAIN | changes), FactorDraw(np.random.default_rng(seed), aimed)
    scene = compose(of or assets(), config, "box", size_px=64, factors=factors)
    return scene.rgb.astype(int), scene.mask, factors.columns


def is_green(rgb: np.ndarray) -> np.ndarray:
    return rgb[..., 1] > 2 * np.maximum(rgb[..., 0], rgb[..., 2])  # a crate's green is paler


@pytest.mark.parametrize("kind", [None, "heap_probability", "row_probability", "held_probability"])
def test_the_mask_is_where_the_product_is(kind):
    for seed in range(8):
        rgb, mask, columns = made(seed, clutter_probability=0.5, by_shape=False, **({kind: 1} if kind else {}))
        assert columns["f_arrangement"] == (kind or "single_").split("_")[0]
        decided = (mask < 32) | (mask > 223)  # a soft edge over the dark is green as well
        assert (mask > 223).any() and decided.mean() > 0.6
        assert (is_green(rgb) == (mask > 127))[decided].mean() > 0.97


def test_what_is_covered_is_not_in_the_mask():
    hidden, kinds = [], set()
    for seed in range(40):
        rgb, mask, columns = made(seed, occlusion_probability=1)
        solid = cv2.erode(mask, np.ones((3, 3), np.uint8)) > 127
        assert (is_green(rgb) & (mask < 64)).mean() < 0.01
        assert (~is_green(rgb) & solid).mean() < 0.01
        hidden.append(columns["f_occlusion"])
        kinds.add(columns["f_occluder"])
        assert (columns["f_occluder"] == "none") == (columns["f_occlusion"] == 0.0)
        assert columns["f_visible"] <= 1 - columns["f_occlusion"] + 0.1
    assert max(hidden) <= 0.6
    assert np.mean(np.array(hidden) > 0.02) > 0.5
    assert kinds >= {"product", "hand", "bar", "tag"}


def test_occlusion_can_be_aimed_at():
    some = [
        made(seed, occlusion_probability=0.3, aimed={"occlusion": (0.3, 0.5)})[2]["f_occlusion"] for seed in range(25)
    ]
    assert np.mean([0.2 < share < 0.6 for share in some]) > 0.6
    none = [made(seed, occlusion_probability=0.9, aimed={"occlusion": (0, 0)})[2]["f_occlusion"] for seed in range(9)]
    assert not any(none)


def test_heaps_fill_the_frame_and_hands_hide_a_little():
    _, mask, columns = made(1, heap_probability=1)
    assert columns["f_arrangement"] == "heap" and columns["f_pile_size"] >= 2
    assert (mask > 127).mean() > 0.6
    held = [made(seed, held_probability=1)[2] for seed in range(8)]
    assert all(0 < columns["f_occlusion"] < 0.6 and columns["f_occluder"] == "hand" for columns in held)


def test_other_products_are_not_in_the_mask():
    for seed in range(12):
        rgb, mask, columns = made(seed, clutter_probability=1)
        assert columns["f_behind"] in ("scatter", "shelves", "heaps")
        assert ((rgb[..., 0] > rgb[..., 1] + 60) & (mask > 200)).mean() < 0.01


def test_what_lies_behind_is_no_copy_of_the_product():
    """Where only one other class exists, half of the backdrops show the product itself and must be passed over."""
    for seed in range(24):
        rgb, mask, columns = made(seed, clutter_probability=1, held_probability=1, by_shape=False)
        assert columns["f_behind"] in ("shelves", "heaps")
        assert (is_green(rgb) & (mask < 16)).mean() < 0.01


def test_a_backdrop_is_the_same_whichever_process_draws_it():
    first, second = assets(), copy.deepcopy(assets())
    made(1, of=first, clutter_probability=1, held_probability=1)
    again = copy.deepcopy(first)  # goes by pickle's protocol
    assert first.backdrops and not again.backdrops
    for seed in range(6):
        pictures = [
            made(seed, of=each, clutter_probability=1, held_probability=1)[0] for each in (first, second, again)
        ]
        assert (pictures[0] == pictures[1]).all() and (pictures[0] == pictures[2]).all()
    blue = [background(np.full((90, 120, 3), (30, 30, 160), np.uint8))]
    cutouts = {"box": [cutout("box", (20, 230, 20))], "red": [cutout("red", (200, 10, 10))]}
    other = made(1, of=gather(cutouts, blue, seed=1), clutter_probability=1, held_probability=1)[0]
    assert (made(1, of=first, clutter_probability=1, held_probability=1)[0] != other).any()


def test_harmonising_draws_to_the_background():
    plain, fitted = made(3)[0], made(3, harmonise=1, aimed={"harmonise": (1, 1)})[0]
    inside = made(3)[1] > 250
    ratio = [picture[inside][:, 1].mean() / picture[~inside][:, 2].mean() for picture in (plain, fitted)]
    assert ratio[1] < ratio[0] * 0.97  # a bright green product on a dark blue ground loses light


def test_all_drawn_factors_are_columns():
    for seed in range(6):
        columns = made(seed, clutter_probability=0.5)[2]
        assert columns.keys() >= {
            "f_arrangement", "f_pile_size", "f_scale", "f_rotation_deg", "f_perspective", "f_background", "f_behind",
            "f_harmonise", "f_shadow", "f_edge_px", "f_occluder", "f_occlusion", "f_visible",
        }  # fmt: skip


def test_a_background_smaller_than_the_canvas_is_enlarged():
    for ground in ((1, 1), (3, 40), (40, 3)):
        rgb, mask, _ = made(0, of=assets(ground))
        assert rgb.shape == (64, 64, 3)
        assert (rgb[mask == 0][:, 2] > rgb[mask == 0][:, 0] + 50).all()
        assert crop_ground(assets(ground).grounds[0], 64, np.random.default_rng(0)).shape == (64, 64, 4)


def test_a_hair_thin_product_on_its_own_can_be_composed():
    thin = np.zeros((60, 1, 4), np.uint8)
    thin[...] = (20, 230, 20, 255)
    only = gather(
        {"box": [Cutout(sample_id="t", label="box", group="g", licence=None, levels=(thin,))]},
        [background(np.full((70, 70, 3), 60, np.uint8))],
    )
    for kind in ("heap_probability", "row_probability", "held_probability"):
        for seed in range(4):
            rgb, mask, columns = made(seed, of=only, by_shape=False, clutter_probability=1, **{kind: 1})
            assert rgb.shape == (64, 64, 3) and mask.shape == (64, 64)
            assert 0 <= columns["f_visible"] <= 1


@pytest.mark.parametrize(
    ("cutouts", "backgrounds", "named"),
    [
        ({}, [np.zeros((9, 9, 3), np.uint8)], "no cut-outs"),
        ({"box": []}, [np.zeros((9, 9, 3), np.uint8)], "no cut-outs"),
        ({"box": [cutout("box", (1, 2, 3))]}, [], "no backgrounds"),
        ({"box": [cutout("box", (1, 2, 3))]}, [np.zeros((9, 9), np.uint8)], r"must be RGB .* got \(9, 9\)"),
        ({"box": [cutout("box", (1, 2, 3))]}, [np.zeros((0, 9, 3), np.uint8)], "must be RGB"),
    ],
)
def test_assets_that_cannot_do_are_named(cutouts, backgrounds, named):
    with pytest.raises(DataError, match=named):
        gather(cutouts, [background(pixels) for pixels in backgrounds])


def test_the_larger_part_of_a_heap_lies_before_the_line():
    y, x = np.mgrid[:50, :50] / 50
    for seed in range(30):
        line = draw_line(np.random.default_rng(seed))
        before = x * line[0] + y * line[1] <= line[2]
        other = beyond(line)
        assert 0.45 < before.mean() < 0.97
        assert (before == (x * other[0] + y * other[1] >= other[2])).all()

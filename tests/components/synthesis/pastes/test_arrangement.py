"""Arrangements come as often as configured, fit the product's shape, and every copy can be seen at least in part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.pastes.arrangement import Placement, arrange, arrangement_shares, heap_layout, row_layout
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.shapes import Shape
from components.synthesis.picture.factors import FactorDraw

LONE = {"heap_probability": 0, "row_probability": 0, "held_probability": 0}
BOX = Shape(elongation=2.5, axis_deg=90, is_box=True)
LONG = Shape(elongation=4.0, axis_deg=30)


def product(width: int = 40, height: int = 40, shape: Shape | None = None, height_m: float | None = None) -> Cutout:
    levels = (np.full((height, width, 4), 255, np.uint8),)
    return Cutout(
        sample_id="s", label="x", group="g", licence=None, levels=levels, shape=shape or Shape(), height_m=height_m
    )


def drawn(seed: int, *, aimed: dict | None = None, cutout: Cutout | None = None, **changes: object):
    factors = FactorDraw(np.random.default_rng(seed), aimed)
    return arrange(PastesConfig.model_validate(changes), cutout or product(), factors), factors.columns


@given(st.integers(2, 400), st.integers(2, 400), st.integers(0, 2**32 - 1))
def test_a_lone_product_is_near_the_middle_and_within_the_ranges(width, height, seed):
    layout, columns = drawn(seed, cutout=product(width, height), scale=(0.4, 0.9), **LONE)
    (placement,), (spot,) = layout.variants, layout.spots
    assert layout.kind == columns["f_arrangement"] == "single"
    assert 0.4 <= placement.scale == columns["f_scale"] <= 0.9
    assert abs(placement.rotation_deg) <= 25
    assert placement.pinned and (spot.x, spot.y) == (placement.x, placement.y)
    assert 0 <= spot.x <= 1 and 0 <= spot.y <= 1
    assert columns["f_pile_size"] == 1


@given(st.integers(2, 60), st.sampled_from([None, BOX, LONG]), st.integers(0, 2**32 - 1))
def test_piles_hold_about_as_many_copies_as_asked_for(number, shape, seed):
    rng, style = np.random.default_rng(seed), Placement(scale=1.0)
    for layout in (
        heap_layout(product(shape=shape), number, 20.0, style, rng),
        row_layout(product(20, 60, shape), number, 3.0, style, rng),
    ):
        inside = [spot for spot in layout.spots if 0 <= spot.x <= 1 and 0 <= spot.y <= 1]
        assert layout.spots
        assert inside or shape is LONG, "no copy has its middle in the frame"
        assert len(inside) <= 2.2 * number + 6
        assert len(layout.spots) >= 0.5 * number
        assert {spot.variant for spot in layout.spots} <= set(range(len(layout.variants)))
        assert all(0 < variant.scale < 2 for variant in layout.variants)


def test_near_copies_of_a_heap_lie_on_top():
    layout = heap_layout(product(), 20, 0.0, Placement(scale=1.0), np.random.default_rng(0))
    heights = [spot.y for spot in layout.spots]
    assert heights == sorted(heights)


def test_long_products_lie_side_by_side_and_round_ones_at_will():
    def spread(shape: Shape) -> float:
        turns = []
        for seed in range(12):
            layout = heap_layout(product(shape=shape), 12, 0.0, Placement(scale=1.0), np.random.default_rng(seed))
            turns += [2 * np.radians(variant.rotation_deg) for variant in layout.variants]
        return 1 - float(np.abs(np.exp(1j * np.array(turns)).mean()))

    assert spread(LONG) < 0.15
    assert spread(Shape()) > 0.2


def test_rows_stand_on_their_shelves():
    layout = row_layout(product(20, 60, BOX), 12, 0.0, Placement(scale=1.0), np.random.default_rng(1))
    height = layout.variants[0].scale
    feet = {round(spot.y + height / 2, 6) for spot in layout.spots}
    assert len(feet) >= 2
    assert feet <= {round(shelf, 6) for shelf in layout.shelves}


@pytest.mark.parametrize(("heap", "row", "held"), [(0, 0, 0), (1, 0, 0), (0.3, 0.3, 0.2), (0, 0, 1)])
def test_arrangements_follow_their_probabilities(heap, row, held):
    shares = {"heap_probability": heap, "row_probability": row, "held_probability": held, "by_shape": False}
    kinds = [drawn(seed, **shares)[0].kind for seed in range(400)]
    for kind, share in (("heap", heap), ("row", row), ("held", held)):
        assert kinds.count(kind) / 400 == pytest.approx(share, abs=0.09)


def test_boxes_stand_and_round_things_lie():
    config = PastesConfig()
    box, round_thing = arrangement_shares(config, product(shape=BOX)), arrangement_shares(config, product())
    assert sum(box) == pytest.approx(1) == pytest.approx(sum(round_thing))
    assert box[1] > round_thing[1] and box[2] > round_thing[2] and box[3] < 0.1 < round_thing[3]
    assert not any(
        drawn(seed, cutout=product(shape=BOX), flip_probability=1)[0].variants[0].mirrored for seed in range(9)
    )


@given(st.integers(0, 2**32 - 1))
def test_an_aimed_pile_size_is_kept(seed):
    layout, columns = drawn(seed, aimed={"pile_size": (10, 20)})
    assert layout.kind in ("row", "heap")
    assert 10 <= columns["f_pile_size"] <= 20


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1.0))
def test_a_known_height_sets_the_scale(seed, height_m):
    _, columns = drawn(seed, cutout=product(height_m=height_m), view_m=(0.2, 0.5), **LONE)
    assert min(1.6, max(0.08, height_m / 0.5)) * 0.999 <= columns["f_scale"] <= min(1.6, height_m / 0.2) * 1.001 + 0.08

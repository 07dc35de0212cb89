"""Occluders cover a part of the frame, never all of it, take from the mask and are premultiplied."""

import numpy as np
import pytest

from components.synthesis.pastes.hands import NUM_HANDS, hand
from components.synthesis.pastes.layers import Look, lay
from components.synthesis.pastes.occluders import (
    MARGIN,
    Target,
    draw_bar,
    draw_hand,
    draw_shelf_edge,
    draw_tag,
    draw_wall,
    grip,
)


def covered(sprite) -> float:
    canvas = np.full((64, 64, 4), 255, np.uint8)
    lay(canvas, sprite, 0, 0)
    return float((canvas[..., 3] < 128).mean())


@pytest.mark.parametrize("draw", [draw_hand, draw_bar, draw_tag])
@pytest.mark.parametrize("area", [0.08, 0.25])
def test_occluders_cover_about_as_much_as_they_are_to(draw, area):
    look, target = Look(size_px=64, shadow=0.4), Target(0.5, 0.5, area)
    shares = [covered(draw(look, np.random.default_rng(seed), target)) for seed in range(30)]
    assert 0.4 * area < np.mean(shares) < 2 * area
    assert max(shares) < 0.7


@pytest.mark.parametrize("draw", [draw_hand, draw_bar, draw_tag])
def test_a_moved_occluder_shows_no_cut_ends(draw):
    """Moved within the margin, it shows what lay beyond the frame; a bar still goes right through."""
    for seed in range(20):
        sprite = draw(Look(size_px=64), np.random.default_rng(seed), Target(0.5, 0.5, 0.15))
        far = int(MARGIN * 64)
        wide = np.full((64 + 2 * far, 64 + 2 * far, 4), 255, np.uint8)
        lay(wide, sprite, far, far)
        hidden = wide[..., 3] < 128
        if draw is draw_bar:
            assert max(hidden.any(axis=0).sum(), hidden.any(axis=1).sum()) == len(wide)
        for right, down in ((-far, far), (far, -far), (-far, -far), (far, far)):
            moved = np.full((64, 64, 4), 255, np.uint8)
            lay(moved, sprite, right, down)
            assert (moved == wide[far - down : far - down + 64, far - right : far - right + 64]).all()


@pytest.mark.parametrize(
    "line", [(1.0, 0.0, 0.75), (-1.0, 0.0, -0.2), (0.0, -1.0, -0.25), (0.8, 0.6, 0.9), (-0.6, -0.8, -0.5)]
)
def test_a_wall_follows_its_line(line):
    canvas = np.full((64, 64, 4), 255, np.uint8)
    lay(canvas, draw_wall(Look(size_px=64), np.random.default_rng(0), line), 0, 0)
    y, x = np.nonzero(canvas[..., 3] < 128)
    off = x / 64 * line[0] + y / 64 * line[1] - line[2]
    assert len(off) > 64
    assert np.abs(off).max() < 0.1


def test_hands_are_premultiplied_and_differ():
    for number in range(0, NUM_HANDS, 5):
        for part in (hand(number).behind, hand(number).front, hand(number).whole):
            layer = part.layer
            assert (layer[..., :3].max(axis=2) <= layer[..., 3]).all()
            assert 0.02 < (layer[..., 3] > 127).mean() < 0.7
    assert hand(0).front.layer.tobytes() != hand(5).front.layer.tobytes()


def test_a_grip_lies_behind_and_in_front_of_the_middle():
    shown = np.zeros((2, 64, 64))
    for seed in range(20):
        look = Look(size_px=64, rng=np.random.default_rng(seed))
        for place, sprite in enumerate(grip(look, width=24, turn_deg=0, centre=(32, 32))):
            canvas = np.full((64, 64, 4), 255, np.uint8)
            lay(canvas, sprite, 0, 0)
            shown[place] += canvas[..., 3] < 128
    assert shown[1, :, 28:36].mean() < shown[1].max() / 2  # fingers stay at the sides
    assert shown[0, 40:].sum() > shown[1, 40:].sum()  # the arm is behind


def test_a_shelf_edge_takes_from_the_mask_where_it_is():
    canvas = np.full((64, 64, 4), 255, np.uint8)
    draw_shelf_edge(canvas, 40, np.random.default_rng(0))
    gone = np.flatnonzero((canvas[..., 3] == 0).all(axis=1))
    assert gone[0] == 40 and 2 <= len(gone) <= 6
    for off in (-50, 64, 900):
        draw_shelf_edge(canvas, off, np.random.default_rng(0))
    assert len(np.flatnonzero((canvas[..., 3] == 0).any(axis=1))) == len(gone)

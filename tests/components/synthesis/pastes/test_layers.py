"""A sprite puts a cut-out where its placement says; laying it changes covered and shadowed pixels alone."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.pastes.arrangement import Placement
from components.synthesis.pastes.cutouts import Cutout
from components.synthesis.pastes.layers import Look, amount, amount_hidden, as_sprite, cut_sprite, lay, unlabelled


def cutout(layer: np.ndarray) -> Cutout:
    return Cutout(sample_id="s", label="box", group="g", licence=None, levels=(layer, layer[::2, ::2].copy()))


def square(side: int = 40) -> Cutout:
    return cutout(np.full((side, side, 4), (200, 100, 50, 255), np.uint8))


def laid(placement: Placement, look: Look, *, ground: int = 0, source: Cutout | None = None) -> np.ndarray:
    size = look.size_px
    canvas = np.full((size, size, 4), (ground, ground, ground, 0), np.uint8)
    sprite = cut_sprite(source or square(), placement, look)
    if sprite is not None:
        lay(canvas, sprite, placement.x * size, placement.y * size)
    return canvas


def test_an_upright_square_lands_in_the_middle_and_its_mask_with_it():
    canvas = laid(Placement(scale=0.5), Look(size_px=80))
    assert (canvas[22:58, 22:58] == (200, 100, 50, 255)).all()
    assert not canvas[:18].any()
    assert not canvas[:, 62:].any()


def test_off_the_frame_there_is_nothing():
    assert not laid(Placement(scale=0.5, x=2.0, pinned=True), Look(size_px=80)).any()
    assert not laid(Placement(scale=0.5, x=2.0), Look(size_px=80)).any()


@given(
    st.floats(-0.2, 1.2), st.floats(-0.2, 1.2), st.floats(0.1, 1.6), st.floats(-180, 180), st.floats(0, 0.4),
    st.floats(0, 6.2), st.booleans(),
)  # fmt: skip
def test_a_pinned_sprite_shows_what_an_unpinned_one_shows(x, y, scale, turn, keystone, angle, mirrored):
    slant = (keystone * np.cos(angle), keystone * np.sin(angle))
    placement = Placement(scale=scale, x=x, y=y, rotation_deg=turn, mirrored=mirrored, keystone=slant)
    look = Look(size_px=48)
    free, pinned = (laid(each, look) for each in (placement, placement._replace(pinned=True)))
    assert np.abs(free.astype(int) - pinned).max() <= 8  # OpenCV rounds positions within each window


@given(st.integers(0, 2**32 - 1), st.integers(-30, 90), st.integers(-30, 90))
def test_laying_is_the_formula_wherever_the_sprite_falls(seed, x, y):
    rng = np.random.default_rng(seed)
    layer = rng.integers(0, 256, (21, 17, 4), np.uint8)
    canvas = rng.integers(0, 256, (64, 64, 4), np.uint8)
    sprite, before = as_sprite(layer, Look(size_px=64)), canvas.copy()
    lay(canvas, sprite, x, y)
    wide = np.zeros((264, 264, 4), np.int32)
    keep = np.full(wide.shape, 255, np.int32)
    wide[100 + y : 121 + y, 100 + x : 117 + x], keep[100 + y : 121 + y, 100 + x : 117 + x] = sprite.add, sprite.keep
    frame = slice(100, 164)
    expected = np.minimum(np.rint(before * keep[frame, frame] / 255) + wide[frame, frame], 255)
    assert np.abs(canvas - expected).max() <= 1


def test_a_mirrored_product_is_mirrored():
    layer = np.full((40, 40, 4), (0, 0, 0, 255), np.uint8)
    layer[:, :20, 0] = 255
    plain, mirrored = (
        laid(Placement(scale=1.0, mirrored=flag, pinned=True), Look(size_px=40), source=cutout(layer))
        for flag in (False, True)
    )
    assert plain[20, 5, 0] > plain[20, 35, 0]
    assert mirrored[20, 5, 0] < mirrored[20, 35, 0]


def test_shadows_darken_beside_the_product_and_leave_the_rest_and_the_mask():
    look = Look(size_px=80, shadow_px=(5, 5), shadow=0.7)
    canvas = laid(Placement(scale=0.5, pinned=True), look, ground=200)
    plain = laid(Placement(scale=0.5, pinned=True), Look(size_px=80), ground=200)
    assert canvas[62, 62, 0] < 190
    assert canvas[17, 17, 0] == canvas[72, 72, 0] == 200
    assert (canvas[..., 3] == plain[..., 3]).all()


def test_large_and_small_shadows_fall_alike():
    """Wide shadows are blurred on a coarser grid, which must not move or weaken them."""
    shades = []
    for times in (1, 4, 8):
        look = Look(size_px=80 * times, shadow_px=(2 * times, 2 * times), shadow=0.7)
        canvas = laid(Placement(scale=0.5, pinned=True), look, ground=200)
        shades.append([int(canvas[at, at, 0]) for at in (int((place + 0.5) * times) for place in range(58, 66))])
    assert shades[0][3] < 130 < shades[0][4] < 180 < shades[0][5]
    assert np.abs(np.array(shades) - shades[0]).max() < 40  # a pixel more or less of a slope


def test_a_shadow_beyond_the_window_is_none():
    far = Look(size_px=80, shadow_px=(500, -500), shadow=0.7)
    near = laid(Placement(scale=0.5, pinned=True), Look(size_px=80), ground=200)
    assert (laid(Placement(scale=0.5, pinned=True), far, ground=200) == near).all()


def test_soft_edges_thin_out_the_rim_and_keep_the_inside():
    sharp, soft = (laid(Placement(scale=0.5), Look(size_px=80, edge_px=px)) for px in (0, 1))
    assert (soft[26:54, 26:54] == sharp[26:54, 26:54]).all()
    assert soft[..., 3].sum() < sharp[..., 3].sum()


def test_uneven_light_takes_light_and_no_coverage():
    plain = laid(Placement(scale=0.8), Look(size_px=80))
    lit = laid(Placement(scale=0.8), Look(size_px=80, falloff=0.5, rng=np.random.default_rng(0)))
    assert (lit[..., 3] == plain[..., 3]).all()
    assert (lit[..., :3] <= plain[..., :3]).all()
    assert lit[40, 40, 0] < 190


def test_soft_edges_and_uneven_light_go_together():
    rng = [np.random.default_rng(0) for _ in range(2)]
    soft = laid(Placement(scale=0.8), Look(size_px=80, edge_px=1))
    lit = laid(Placement(scale=0.8), Look(size_px=80, falloff=0.5, rng=rng[0]))
    both = laid(Placement(scale=0.8), Look(size_px=80, falloff=0.5, rng=rng[1], edge_px=1))
    assert (both[..., 3] == soft[..., 3]).all()
    assert np.abs(both[20:60, 20:60].astype(int) - lit[20:60, 20:60]).max() <= 1


def test_what_is_no_product_covers_the_mask_and_adds_nothing_to_it():
    canvas = np.full((80, 80, 4), 255, np.uint8)
    sprite = cut_sprite(square(), Placement(scale=0.5), Look(size_px=80))
    assert sprite is not None
    lay(canvas, unlabelled(sprite), 40, 40)
    assert canvas[40, 40].tolist() == [200, 100, 50, 0]
    assert canvas[5, 5].tolist() == [255] * 4


@given(st.integers(-60, 130), st.integers(-60, 130))
def test_how_much_a_sprite_would_hide_is_what_it_hides(x, y):
    canvas = np.random.default_rng(0).integers(0, 256, (80, 80, 4), np.uint8)
    sprite, before = unlabelled(as_sprite(square().levels[0].copy(), Look(size_px=80))), canvas.copy()
    hidden = amount_hidden(canvas, sprite, x, y)
    assert (canvas == before).all()
    lay(canvas, sprite, x, y)
    assert hidden == amount(before) - amount(canvas)
    assert (hidden > 0) == (-40 < x < 80 and -40 < y < 80)


@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 40), st.integers(-14, 14), st.integers(-14, 14),
    st.integers(0, 255),
)  # fmt: skip
def test_slivers_cast_shadows_of_any_reach(height, width, reach, right, down, cover):
    layer = np.full((height, width, 4), cover, np.uint8)
    sprite = as_sprite(layer, Look(size_px=64, shadow=0.5, shadow_px=(right, down)), reach)
    assert sprite.keep.shape == layer.shape
    assert (sprite.keep[..., 3] == 255 - cover).all()
    assert (sprite.keep[..., 0] <= sprite.keep[..., 3]).all()

"""Relighting is the transfer's matrix product, and its bits depend on the light and the image's number alone."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES
from components.synthesis.renders.relighting import BLOCK, TILE, prepare, relight

DIGEST = """
import hashlib, sys, numpy as np
block, tile = map(int, sys.argv[1:])
rng = np.random.default_rng(0)
lights, tiles = rng.random((3, block, 88), np.float32), rng.random((40, 3, 88, tile), np.float32)
print(hashlib.sha256(np.matmul(lights, tiles).tobytes()).hexdigest())
"""


def lights(number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((number, NUM_LIGHTS, 3), np.float32)


@pytest.fixture(scope="module")
def prepared(ball):
    return prepare(ball())


def test_a_relit_object_is_the_product_of_its_transfer_with_the_light(ball, prepared):
    transfer, light = ball(), lights(1)
    (relit,) = relight(prepared, light)
    expected = np.einsum("pkc,kc->pc", transfer.response.astype(np.float64), light[0])
    assert relit.planes.reshape(3, -1).T[transfer.pixels] == pytest.approx(expected, rel=1e-4)
    elsewhere = np.setdiff1d(np.arange(48 * 48), transfer.pixels)
    assert not relit.planes.reshape(3, -1)[:, elsewhere].any()


def test_the_ground_is_darkened_by_the_ratio_of_two_products(ball, prepared):
    transfer, light = ball(), lights(1)
    (relit,) = relight(prepared, light)
    grey = light[0] @ [0.2126, 0.7152, 0.0722]
    ratio = transfer.ground.astype(np.float64) @ grey / (transfer.open_ground @ grey)
    row, column = np.divmod(transfer.ground_pixels, 48)
    inner = (np.minimum(row, 47 - row) > 4) & (np.minimum(column, 47 - column) > 4)
    assert relit.shade.reshape(-1)[transfer.ground_pixels][inner] == pytest.approx(ratio[inner], rel=1e-3)
    assert relit.shade[:20].min() == 1 and relit.shade.min() < 0.5


def test_shadows_fade_out_before_the_picture_ends(prepared):
    (relit,) = relight(prepared, lights(1))
    assert relit.shade[-1] == pytest.approx(1, abs=1e-3)


def test_light_is_linear(prepared):
    one, two = lights(2)
    first, second, both = (relight(prepared, light[None])[0].planes for light in (one, two, one + 3 * two))
    assert both == pytest.approx(first + 3 * second, rel=1e-4, abs=1e-5)


@settings(max_examples=12, deadline=None)
@given(st.integers(1, 3 * BLOCK), st.integers(0, 2 * BLOCK), st.data())
def test_an_image_alone_has_the_bits_it_has_among_others(prepared, number, first, data):
    batch = lights(number, seed=1)
    chosen = data.draw(st.integers(0, number - 1))
    among = relight(prepared, batch, first=first)
    (alone,) = relight(prepared, batch[chosen : chosen + 1], first=first + chosen)
    assert len(among) == number
    assert (alone.planes == among[chosen].planes).all()
    assert (alone.shade == among[chosen].shade).all()


def test_products_have_the_same_bits_on_one_and_two_threads():
    digests = []
    for threads in ("1", "2"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        command = [sys.executable, "-c", DIGEST, str(BLOCK), str(TILE)]
        digests.append(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)
    assert digests[0] == digests[1]


def test_a_white_ball_in_even_light_keeps_its_light(ball):
    """The furnace: an even sky on a convex, white, matt body gives its own radiance back, and never more."""
    transfer = ball()
    light = np.zeros((1, NUM_LIGHTS, 3), np.float32)
    light[:, :NUM_LOBES] = 1
    (relit,) = relight(prepare(transfer), light)
    white = relit.planes.reshape(3, -1).T[transfer.pixels]
    assert white.max() <= 0.8 * 1.06  # the ball's own albedo; middles of lobes stand for their whole extent
    assert relit.shade.max() <= 1 + 1e-5


def test_darkness_is_dark(prepared):
    (relit,) = relight(prepared, np.zeros((1, NUM_LIGHTS, 3), np.float32))
    assert not relit.planes.any() and relit.shade == pytest.approx(1)

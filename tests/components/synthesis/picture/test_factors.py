"""Factors: within their ranges, remembered as columns, narrowed by an aim, and in the stated shares."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.picture.factors import FactorDraw

BOUND = st.floats(0.01, 100)


@given(seed=st.integers(0, 2**32), low=BOUND, width=BOUND, aim=st.tuples(BOUND, BOUND))
def test_an_aimed_number_lies_in_the_range_and_in_the_aim(
    seed: int, low: float, width: float, aim: tuple[float, float]
) -> None:
    high = low + width
    first, last = sorted(aim)
    factors = FactorDraw(np.random.default_rng(seed), {"scale": (first, last), "blur": (first, last)})
    for value in (factors.uniform("scale", low, high), factors.log_uniform("blur", low, high)):
        assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
        if first <= high and last >= low:
            assert first * (1 - 1e-9) <= value <= last * (1 + 1e-9)
    assert set(factors.columns) == {"f_scale", "f_blur"}


def test_options_come_in_their_shares() -> None:
    factors = FactorDraw(np.random.default_rng(0))
    drawn = Counter(factors.choice("light", ["sun", "lamp", "none"], [0.7, 0.3, 0.0]) for _ in range(4000))
    assert drawn["sun"] / 4000 == pytest.approx(0.7, abs=0.03)
    assert "none" not in drawn
    even = Counter(factors.choice("shape", ["can", "card"]) for _ in range(4000))
    assert even["can"] / 4000 == pytest.approx(0.5, abs=0.03)


@given(seed=st.integers(0, 2**32), low=st.integers(1, 9), more=st.integers(0, 9), aim=st.floats(0, 25))
def test_a_count_is_whole_and_within_its_bounds(seed: int, low: int, more: int, aim: float) -> None:
    factors = FactorDraw(np.random.default_rng(seed), {"pile_size": (aim, aim + 1)})
    value = factors.count("pile_size", low, low + more)
    assert low <= value <= low + more
    assert factors.columns["f_pile_size"] == value


def test_the_same_seed_draws_the_same_factors() -> None:
    first, second = (FactorDraw(np.random.default_rng(5)) for _ in range(2))
    for factors in (first, second):
        factors.uniform("scale", 0.4, 1.2)
        factors.choice("light", ["sun", "lamp"])
    assert first.columns == second.columns


WORDS = ("sky", "lamp", "window", "ceiling")
SHARES = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda shares: sum(shares) > 0.01)


@given(seed=st.integers(0, 2**32), shares=SHARES, meant=st.sets(st.sampled_from([*WORDS, "moon"]), min_size=1))
def test_an_aimed_word_is_among_those_meant_and_no_more_numbers_are_drawn(
    seed: int, shares: list[float], meant: set[str]
) -> None:
    aimed = FactorDraw(np.random.default_rng(seed), None, {"light": tuple(meant)})
    plain = FactorDraw(np.random.default_rng(seed))
    chosen, usual = aimed.choice("light", WORDS, shares), plain.choice("light", WORDS, shares)
    possible = {word for word, share in zip(WORDS, shares, strict=True) if share > 0}
    assert chosen in (possible & meant or possible)
    assert aimed.columns["f_light"] == chosen
    assert aimed.rng.random() == plain.rng.random(), "what is drawn afterwards stays as it was"
    if possible <= meant or not possible & meant:
        assert chosen == usual


@given(seed=st.integers(0, 2**32), shares=SHARES)
def test_words_that_nobody_aims_at_are_drawn_as_ever(seed: int, shares: list[float]) -> None:
    elsewhere = FactorDraw(np.random.default_rng(seed), {"scale": (0.5, 0.6)}, {"occluder": ("hand",)})
    steps = np.cumsum(shares)
    place = np.random.default_rng(seed).random() * steps[-1]
    expected = next((word for word, step in zip(WORDS, steps, strict=True) if place < step), WORDS[-1])
    assert elsewhere.choice("light", WORDS, shares) == expected


def test_aimed_words_keep_their_shares_among_themselves() -> None:
    factors = FactorDraw(np.random.default_rng(0), None, {"light": ("sky", "window")})
    drawn = Counter(factors.choice("light", WORDS, [0.1, 0.6, 0.3, 0.0]) for _ in range(4000))
    assert set(drawn) == {"sky", "window"} and drawn["window"] / 4000 == pytest.approx(0.75, abs=0.03)

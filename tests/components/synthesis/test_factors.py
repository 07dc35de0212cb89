"""Factors: within their ranges, remembered as columns, narrowed by an aim, and in the stated shares."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.factors import FactorDraw

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

"""Customers' taste reaches further than the shop's, and no draw leaves what is possible."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.builtin.looks import Look


def draws(taste: str) -> np.ndarray:
    look = Look(rng=np.random.default_rng(0), taste=taste)
    return np.array([look.between(1.0, 2.0) for _ in range(500)])


def test_the_shop_keeps_to_the_range_and_customers_reach_beyond():
    shop, customers = draws("shop"), draws("customer")
    assert shop.min() >= 1.0
    assert shop.max() <= 2.0
    assert customers.min() < 0.97
    assert customers.max() > 2.03


@given(st.integers(0, 2**32 - 1), st.sampled_from(["shop", "customer"]), st.sampled_from(["wood", "glass", "fabric"]))
def test_finishes_are_colours(seed, taste, material):
    finish = Look(rng=np.random.default_rng(seed), taste=taste).finish(material)
    assert all(0 <= channel <= 1 for channel in finish.colour)
    assert 0 < finish.roughness <= 1


def test_customers_own_more_colours():
    spread = {}
    for taste in ("shop", "customer"):
        look = Look(rng=np.random.default_rng(0), taste=taste)
        spread[taste] = np.array([look.finish("wood").colour for _ in range(300)]).std(axis=0).mean()
    assert spread["customer"] > spread["shop"] * 1.1

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.selection.policy import SpendingPolicy
from components.selection.spending import look_level, spent


@given(first=st.floats(0.01, 0.99), looks=st.integers(1, 12), alpha=st.floats(0.001, 0.5))
def test_levels_of_all_histories_sum_to_at_most_alpha(first: float, looks: int, alpha: float) -> None:
    plan = SpendingPolicy(alpha=alpha, first=first, planned_looks=looks)
    total = math.fsum(
        look_level(plan, look, sum(bits))
        for look in range(1, looks + 1)
        for bits in itertools.product((0, 1), repeat=look - 1)
    )
    assert total <= alpha * (1 + 1e-12)


def test_the_rule_without_shares_would_overspend() -> None:
    plan = SpendingPolicy()
    total = sum(
        plan.alpha * plan.weight(look) / math.comb(look - 1, sum(bits))
        for look in range(1, 13)
        for bits in itertools.product((0, 1), repeat=look - 1)
    )
    assert total > 2 * plan.alpha


def test_first_look_has_its_whole_weight_and_looks_beyond_the_plan_have_none() -> None:
    plan = SpendingPolicy(alpha=0.05, first=0.2, planned_looks=21)
    assert look_level(plan, 1, 0) == pytest.approx(0.01)
    assert look_level(plan, 20, 0) == pytest.approx(0.05 * 0.04 / 2)
    assert look_level(plan, 20, 2) == pytest.approx(0.05 * 0.04 / 8 / math.comb(19, 2))
    assert look_level(plan, 22, 0) == 0.0
    assert spent(plan, 30) == pytest.approx(0.05)


def test_a_single_planned_look_takes_everything() -> None:
    assert look_level(SpendingPolicy(planned_looks=1), 1, 0) == 0.05


def test_more_promotions_than_looks_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="there were 1 looks"):
        look_level(SpendingPolicy(), 2, 2)

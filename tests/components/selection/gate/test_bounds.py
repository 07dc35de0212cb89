from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.selection.gate.bounds import Binomial, GroupMeans, most_flips


@pytest.mark.parametrize(("limit", "n"), [(0.01, 299), (0.005, 598), (0.001, 2995)])
def test_zero_flips_certify_the_published_limits(limit: float, n: int) -> None:
    assert Binomial(0, n).p_below(limit) <= 0.05
    assert Binomial(0, n - 1).p_below(limit) > 0.05
    assert Binomial(0, n).upper(0.05) <= limit < Binomial(0, n - 1).upper(0.05)


def test_clopper_pearson_by_hand() -> None:
    assert Binomial(0, 10).upper(0.05) == pytest.approx(1 - 0.05**0.1)
    assert Binomial(10, 10).lower(0.05) == pytest.approx(0.05**0.1)
    assert (Binomial(0, 10).lower(0.05), Binomial(10, 10).upper(0.05)) == (0.0, 1.0)
    assert Binomial(0, 0).p_below(0.9) == Binomial(0, 0).p_above(0.1) == 1.0


@given(n=st.integers(1, 120), rate=st.floats(0.001, 0.999), level=st.sampled_from([0.05, 0.01, 0.001]))
@settings(deadline=None)
def test_coverage_by_exact_sums(n: int, rate: float, level: float) -> None:
    counts = np.arange(n + 1)
    chance = stats.binom.pmf(counts, n, rate)
    missed_above = sum(p for k, p in zip(counts, chance, strict=True) if Binomial(int(k), n).upper(level) < rate)
    missed_below = sum(p for k, p in zip(counts, chance, strict=True) if Binomial(int(k), n).lower(level) > rate)
    assert missed_above <= level + 1e-9
    assert missed_below <= level + 1e-9


@given(n=st.integers(1, 200), limit=st.floats(0.001, 0.5), level=st.sampled_from([0.05, 0.001, 1e-7]))
@settings(deadline=None)
def test_p_value_bound_and_most_flips_agree(n: int, limit: float, level: float) -> None:
    most = most_flips(n, limit, level)
    for count in (most, most + 1):
        if 0 <= count <= n:
            assert (Binomial(count, n).p_below(limit) <= level) == (count <= most)
            if abs(Binomial(count, n).upper(level) - limit) > 1e-9:
                assert (Binomial(count, n).upper(level) < limit) == (count <= most)


@given(values=st.lists(st.floats(0, 1), min_size=1, max_size=60), data=st.data())
@settings(deadline=None)
def test_betting_is_monotone_and_blind_to_order(values: list[float], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(values) - 1))
    worse = list(values)
    worse[index] = min(1.0, worse[index] + 0.3)
    shuffled = data.draw(st.permutations(values))
    rate = GroupMeans(np.array(values))
    assert GroupMeans(np.array(worse)).p_below(0.2) >= rate.p_below(0.2) - 1e-12
    assert GroupMeans(np.array(shuffled)).p_below(0.2) == rate.p_below(0.2)


@given(n=st.integers(1, 150), rate=st.floats(0.01, 0.6), level=st.sampled_from([0.1, 0.05, 0.01]))
@settings(deadline=None, max_examples=40)
def test_betting_errs_at_most_at_its_level_by_exact_sums(n: int, rate: float, level: float) -> None:
    """Groups that flip as one: the count of flipped groups is binomial, so the error is an exact sum."""
    chance = stats.binom.pmf(np.arange(n + 1), n, rate)
    wrong = sum(
        chance[k] for k in range(n + 1) if GroupMeans(np.r_[np.ones(k), np.zeros(n - k)]).p_below(rate) <= level
    )
    assert wrong <= level + 1e-9


def test_250_groups_that_flip_together_do_not_certify_one_percent() -> None:
    assert GroupMeans(np.zeros(250)).upper(0.05) > 0.01
    assert Binomial(0, 250 * 20).upper(0.05) < 0.001  # what taking the 5,000 samples for independent would say


def test_betting_bound_is_close_to_the_exact_one_for_single_samples() -> None:
    flips = np.r_[np.ones(25), np.zeros(4975)]
    assert Binomial(25, 5000).upper(0.01) < GroupMeans(flips).upper(0.01) < 1.25 * Binomial(25, 5000).upper(0.01)
    assert GroupMeans(flips).lower(0.01) < 0.005 < GroupMeans(flips).upper(0.01)


def test_no_group_proves_nothing() -> None:
    empty = GroupMeans(np.array([]))
    assert (empty.p_below(0.5), empty.p_above(0.5), empty.point) == (1.0, 1.0, 0.0)

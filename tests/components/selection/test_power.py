from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from components.selection.bounds import GroupMeans, most_flips
from components.selection.power import samples_needed


def test_no_flips_need_the_published_number() -> None:
    assert samples_needed(0.0, 0.01, 0.05, 0.8) == 299


@pytest.mark.parametrize(("rate", "limit", "level"), [(0.005, 0.01, 0.01), (0.02, 0.05, 0.001)])
def test_the_number_has_the_power_and_hardly_less_would_not(rate: float, limit: float, level: float) -> None:
    n = samples_needed(rate, limit, level, 0.8)
    assert n is not None
    assert stats.binom.cdf(most_flips(n, limit, level), n, rate) >= 0.8
    fewer = int(n * 0.9)
    assert stats.binom.cdf(most_flips(fewer, limit, level), fewer, rate) < 0.8


def test_a_rate_at_its_limit_is_never_decided() -> None:
    assert samples_needed(0.01, 0.01, 0.05, 0.8) is None
    assert samples_needed(0.001, 0.01, 0.0, 0.8) is None


def test_groups_over_again_prove_it_and_hardly_fewer_would_not() -> None:
    values = np.r_[np.full(4, 0.5), np.zeros(396)]
    copies = GroupMeans(values).copies_to_prove(0.01, 0.001)
    assert copies is not None and copies > 1
    assert GroupMeans(np.tile(values, int(copies) + 1)).p_below(0.01) <= 0.001
    assert GroupMeans(np.tile(values, int(copies))).p_below(0.01) > 0.001
    assert GroupMeans(np.full(50, 0.5)).copies_to_prove(0.01, 0.001) is None

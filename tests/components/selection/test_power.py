from __future__ import annotations

import pytest
from scipy import stats

from components.selection.bounds import most_flips
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

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from components.selection.gate import paired


def test_mcnemar_by_hand() -> None:
    assert paired.mcnemar_exact(3, 0) == pytest.approx(1 / 8)
    assert paired.mcnemar_exact(0, 3) == pytest.approx(1.0)
    assert paired.mcnemar_mid_p(3, 0) == pytest.approx(1 / 16)
    assert (paired.mcnemar_exact(0, 0), paired.mcnemar_mid_p(0, 0)) == (1.0, 0.5)


def test_airway_hyperresponsiveness_of_bentur_et_al() -> None:
    """Published in Fagerland, Lydersen and Laake 2013/2014: 21 pairs, 1 and 7 discordant, both right in 1."""
    assert 2 * paired.mcnemar_exact(7, 1) == pytest.approx(0.0703, abs=5e-5)
    assert 2 * paired.mcnemar_mid_p(7, 1) == pytest.approx(0.0391, abs=5e-5)
    assert paired.tango_interval(1, 7, 21) == pytest.approx((-0.517, -0.026), abs=6e-4)
    assert paired.newcombe_interval(1, 7, 1, 21) == pytest.approx((-0.507, -0.026), abs=6e-4)


@pytest.mark.parametrize("counts", [(12, 9, 53, 16), (30, 10, 100, 60), (1, 1, 5, 3)])
def test_mcnemar_agrees_with_statsmodels(counts: tuple[int, int, int, int]) -> None:
    from statsmodels.stats.contingency_tables import mcnemar

    gained, lost, both, neither = counts
    table = [[both, lost], [gained, neither]]
    expected = mcnemar(table, exact=True).pvalue
    assert min(1.0, 2 * min(paired.mcnemar_exact(gained, lost), paired.mcnemar_exact(lost, gained))) == pytest.approx(
        expected
    )


@pytest.mark.parametrize("counts", [(12, 9, 53, 16), (30, 10, 100, 60), (1, 7, 1, 12)])
def test_tango_inverts_its_score_statistic(counts: tuple[int, int, int, int]) -> None:
    gained, lost, _, _ = counts
    tango = paired.tango_interval(gained, lost, sum(counts))
    for edge in tango:
        score = _score(gained, lost, sum(counts), edge)
        assert abs(score) == pytest.approx(stats.norm.ppf(0.975), abs=1e-4)


def _score(gained: int, lost: int, n: int, delta: float) -> float:
    """Tango's statistic with the constrained maximum of the likelihood found by a plain search."""
    grid = np.linspace(max(0.0, -delta) + 1e-9, (1 - delta) / 2 - 1e-9, 400_001)
    rest = n - gained - lost
    like = gained * np.log(grid + delta) + lost * np.log(grid) + rest * np.log(np.maximum(1 - 2 * grid - delta, 1e-300))
    q = grid[np.argmax(like)]
    return (gained - lost - n * delta) / math.sqrt(n * (2 * q + delta * (1 - delta)))


def test_intervals_hold_at_the_edges() -> None:
    for counts in ((0, 0, 10, 10), (10, 0, 0, 10), (0, 10, 0, 10), (10, 0, 0, 0), (0, 0, 10, 0)):
        gained, lost, both, neither = counts
        n = sum(counts)
        for low, high in (paired.tango_interval(gained, lost, n), paired.newcombe_interval(gained, lost, both, n)):
            assert -1.0 <= low <= (gained - lost) / n <= high <= 1.0 + 1e-9, (counts, neither)


@given(
    gained=st.integers(0, 60), lost=st.integers(0, 60), rest=st.integers(0, 1500), level=st.sampled_from([0.05, 1e-6])
)
@settings(deadline=None, max_examples=30)
def test_one_more_loss_or_one_gain_less_never_helps(gained: int, lost: int, rest: int, level: float) -> None:
    n = gained + lost + rest + 2
    bound = paired.loss_upper(gained + 1, lost, n, level)
    assert paired.loss_upper(gained + 1, lost + 1, n, level) >= bound - 1e-12
    assert paired.loss_upper(gained, lost, n, level) >= bound - 1e-12
    assert paired.loss_upper(gained, lost + 1, n, level) >= bound - 1e-12


@pytest.mark.parametrize(("n", "gain", "loss"), [(20, 0.05, 0.15), (16, 0.2, 0.3), (20, 0.0, 0.1), (12, 0.45, 0.55)])
def test_loss_bounds_cover_by_exact_trinomial_sums(n: int, gain: float, loss: float) -> None:
    level, missed_above, missed_below = 0.05, 0.0, 0.0
    for gained, lost in itertools.product(range(n + 1), repeat=2):
        if gained + lost <= n:
            chance = stats.multinomial.pmf([gained, lost, n - gained - lost], n, [gain, loss, 1 - gain - loss])
            missed_above += chance * (paired.loss_upper(gained, lost, n, level) < loss - gain - 1e-12)
            missed_below += chance * (paired.loss_lower(gained, lost, n, level) > loss - gain + 1e-12)
    assert missed_above <= level
    assert missed_below <= level

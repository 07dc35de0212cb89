from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from components.selection.gate import paired, unconditional

Test = Callable[[int, int], bool]


@pytest.mark.parametrize(("n", "margin", "level"), [(300, 0.02, 0.05), (300, 0.02, 0.001), (150, 0.1, 0.01)])
def test_a_loss_at_the_margin_is_proven_smaller_no_oftener_than_the_level(n: int, margin: float, level: float) -> None:
    most = _most_lost(lambda gained, lost: unconditional.proves_under(margin, gained, lost, n, level), n)
    errors = [_chance(most, n, gain + margin, gain) for gain in (1e-9, 0.005, 0.01, 0.02, 0.05, 0.1, 0.3)]
    assert max(errors) <= level
    assert max(errors) > 0.5 * level


def test_the_score_test_alone_would_err_more_often() -> None:
    n, margin, level = 300, 0.02, 0.05

    def approximate(gained: int, lost: int) -> bool:
        value = unconditional.score(np.array([gained]), np.array([lost]), n, margin)[0]
        return bool(value <= stats.norm.ppf(level))

    most = _most_lost(approximate, n)
    assert max(_chance(most, n, gain + margin, gain) for gain in (0.005, 0.01, 0.02, 0.05, 0.1)) > level


def test_it_proves_what_the_product_of_two_bounds_cannot() -> None:
    assert paired.loss_under(0.02, 5, 5, 1346, 1e-5)
    assert paired.product_upper(5, 5, 1346, 1e-5) > 0.02
    assert paired.loss_upper(5, 5, 1346, 1e-5) < 0.015


@pytest.mark.parametrize("counts", [(0, 0), (5, 5), (0, 12), (40, 3), (30, 45)])
def test_the_bound_is_the_smallest_loss_refuted(counts: tuple[int, int]) -> None:
    bound = unconditional.loss_upper(*counts, 500, 0.01)
    assert unconditional.proves_under(bound, *counts, 500, 0.01)
    assert bound == 0.0 or not unconditional.proves_under(bound - 1e-4, *counts, 500, 0.01)


def test_many_samples_take_the_product() -> None:
    n = paired.EXACT_UP_TO + 1
    assert paired.loss_upper(90, 100, n, 0.01) == paired.product_upper(90, 100, n, 0.01)
    assert paired.loss_under(0.02, 90, 100, n, 0.01)


def _most_lost(proves: Test, n: int) -> list[int]:
    """By number gained the most lost that are still proven good; one more gain never lets fewer pass."""
    found, lost = [], -1
    for gained in range(n // 3):
        while lost + 1 + gained <= n and proves(gained, lost + 1):
            lost += 1
        found.append(lost)
    return found


def _chance(most: list[int], n: int, loss: float, gain: float) -> float:
    """P(gained = g and lost at most most[g]), summed over g; more gains than the list holds are left out."""
    gained = np.arange(len(most))
    of_rest = stats.binom.cdf(most, n - gained, loss / (1.0 - gain))
    return float(stats.binom.pmf(gained, n, gain) @ np.where(np.array(most) >= 0, of_rest, 0.0))

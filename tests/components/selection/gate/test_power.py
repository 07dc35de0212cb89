from __future__ import annotations

import numpy as np
from scipy import stats

from components.selection.gate import flips
from components.selection.gate.bounds import Binomial, most_flips
from components.selection.gate.checks import Findings, examine
from components.selection.gate.claims import Levels
from components.selection.gate.flips import Cells, Tally
from components.selection.gate.policy import Policy
from components.selection.gate.power import (
    Advice,
    Asked,
    advise,
    bootstrap_size,
    critical_size,
    fresh_size,
    split_size,
)
from components.selection.gate.rates import GroupedSample, IndependentSample, Sample
from tests.components.selection.gate.test_rates import grouped, rows_of

ALONE = Policy(limit=0.05, improvement={"rule": "none"})
BOTH = Policy(limit=0.05)


def shown(
    n: int, lost: int, gained: int, policy: Policy, classes: tuple[tuple[int, int], ...] = ()
) -> tuple[Sample, Findings]:
    states = np.zeros(9, np.int64)
    states[[flips._BOTH, 7, 5]] = n - lost - gained, lost, gained
    cells = np.zeros((len(classes), 9), np.int64)
    for row, (size, broken) in zip(cells, classes, strict=True):
        row[[flips._BOTH, 7]] = size - broken, broken
    columns = {"s_class": Cells(tuple(str(i) for i in range(len(classes))), cells)} if classes else {}
    tally = Tally(states, columns)
    return IndependentSample(tally, policy), examine(tally, policy, Levels(split="search", hold=0.05, broken=0.05))


def known_size(rate: float, limit: float, level: float, power: float) -> int:
    """About the fewest samples at which a rate that is known proves itself, by looking for them."""
    return next(n for n in range(100, 20_000, 10) if stats.binom.cdf(most_flips(n, limit, level), n, rate) >= power)


def test_no_flips_need_the_published_number() -> None:
    assert critical_size(0.01, 0.05) == 299


def test_a_rate_at_its_limit_is_never_decided() -> None:
    assert split_size(*shown(20_000, 1000, 1000, ALONE), ALONE, 0.01) is None
    at_limit = advise(*shown(2000, 130, 130, ALONE), ALONE, 0.01)
    assert at_limit.further is None and at_limit.chance < 0.5
    assert advise(*shown(2000, 10, 10, ALONE), ALONE, 0.0) == Advice(further=None, chance=0.0)


def test_a_rate_well_known_is_planned_for_as_if_it_were_known() -> None:
    size = split_size(*shown(200_000, 4000, 4000, ALONE), ALONE, 0.001)
    known = known_size(0.02, 0.05, 0.001, 0.8)
    assert size is not None and abs(size - known) < 0.1 * known


def test_doubt_about_a_rate_asks_for_more_than_the_rate_itself_would() -> None:
    doubtful, known = (split_size(*shown(n, n // 50, n // 50, ALONE), ALONE, 0.001) for n in (300, 200_000))
    assert doubtful is not None and known is not None and doubtful > 1.3 * known


def test_accuracy_and_slices_are_planned_for_together_with_the_flips() -> None:
    alone = split_size(*shown(20_000, 400, 400, ALONE), ALONE, 0.001)
    both = split_size(*shown(20_000, 400, 400, BOTH), BOTH, 0.001)
    sliced = Policy(limit=0.05, improvement={"rule": "none"}, slices={"limit": 0.1, "min_n": 50})
    with_slice = split_size(*shown(20_000, 400, 400, sliced, ((1000, 60), (19_000, 340))), sliced, 0.001)
    assert alone is not None and both is not None and with_slice is not None
    assert both > 2 * alone
    assert with_slice > 5 * alone


def test_a_slice_counts_from_where_it_is_large_enough_to_be_tested() -> None:
    policy = Policy(limit=0.05, improvement={"rule": "none"}, slices={"limit": 0.05, "min_n": 100})
    sample, findings = shown(2000, 24, 24, policy, ((20, 3), (1980, 21)))
    assert {row.result for row in findings.slices if row.value == "0"} == {"too small"}
    size = split_size(sample, findings, policy, 0.01)
    assert size is not None and size * 20 / 2000 < 100


def test_a_split_that_said_no_is_known_to_be_unlucky() -> None:
    sample, findings = shown(673, 17, 17, BOTH)
    asked = advise(sample, findings, BOTH, 0.002, asked=Asked(num=1346, level=0.0025))
    fresh = advise(sample, findings, BOTH, 0.002)
    assert asked.further is not None and fresh.further is not None
    assert asked.further + 1346 > fresh.further
    assert asked == advise(sample, findings, BOTH, 0.002, asked=Asked(num=1346, level=0.0025))


def test_what_cannot_reach_the_power_claims_what_it_reaches() -> None:
    advice = advise(*shown(200, 7, 7, ALONE), ALONE, 0.001)
    assert advice.further is not None and 0.5 <= advice.chance < 0.8
    assert split_size(*shown(200, 7, 7, ALONE), ALONE, 0.001) is None


def test_groups_that_flip_together_count_less() -> None:
    verdicts = np.repeat(np.r_[np.zeros(8, int), np.ones(392, int)], 5).tolist()
    sizes = []
    for members in (1, 5):
        rows = rows_of([1] * 2000, verdicts)
        sample = grouped(rows, [str(index // members) for index in range(2000)], ALONE)
        assert isinstance(sample, GroupedSample)
        sizes.append(split_size(sample, Findings(checks=()), ALONE, 0.001))
    assert sizes[0] is not None and sizes[1] is not None and sizes[1] > 3 * sizes[0]


def test_a_fresh_split_is_planned_for_a_candidate_at_a_quarter_of_the_limit() -> None:
    size = fresh_size(ALONE, 0.01)
    assert size is not None
    powers = [stats.binom.cdf(most_flips(n, 0.05, 0.01), n, 0.0125) for n in (size, int(0.8 * size))]
    assert powers[0] >= 0.78 and powers[1] < 0.8
    with_accuracy = fresh_size(BOTH, 0.01)
    assert with_accuracy is not None and with_accuracy > size
    noisy = fresh_size(ALONE.model_copy(update={"label_noise": 0.2}), 0.01)
    assert noisy is not None and noisy > size
    assert fresh_size(ALONE, 0.0) is None


def test_the_fewest_photos_of_a_slice_that_can_prove_its_limit() -> None:
    assert critical_size(0.25, 0.01) == 17
    assert 0.75**17 <= 0.01 < 0.75**16
    assert critical_size(0.5, 0.25) == 2
    assert critical_size(0.25, 0.0) is None


def test_a_first_model_needs_more_the_nearer_it_is_to_the_accuracy_asked_for() -> None:
    sizes = [bootstrap_size(Binomial(wrong, 1000), BOTH, 0.01) for wrong in (100, 400)]
    assert sizes[0] is not None and sizes[1] is not None and sizes[1] > 5 * sizes[0]
    assert bootstrap_size(Binomial(0, 0), BOTH, 0.01) is None
    assert bootstrap_size(Binomial(600, 1000), BOTH, 0.01) is None

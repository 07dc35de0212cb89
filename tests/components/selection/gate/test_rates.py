from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from components.core.errors import DataError
from components.selection.gate import flips
from components.selection.gate.bounds import Binomial, Either, GroupMeans
from components.selection.gate.flips import Rows
from components.selection.gate.policy import Policy
from components.selection.gate.rates import GroupedSample, IndependentSample, effective, effective_margin

POLICY = Policy(slices={"columns": ["s_class"]})


def rows_of(old: list[int], new: list[int], *, classes: list[str] | None = None) -> Rows:
    n = len(old)
    columns = {
        "sample_id": [f"{index:05d}" for index in range(n)],
        "score": np.full(n, 0.5, np.float32),
        "prediction": pa.nulls(n, pa.string()),
        "s_class": classes or ["a"] * n,
    }
    sides = [pa.table({**columns, "verdict": pa.array(verdicts, pa.int8())}) for verdicts in (old, new)]
    return flips.join(*sides, name="certify")


def grouped(rows: Rows, groups: list[str], policy: Policy = POLICY) -> GroupedSample:
    return GroupedSample(rows, flips.tally(rows, ["s_class"]), policy, pa.array(groups).dictionary_encode())


def test_groups_of_one_cost_a_factor_of_two_in_the_level_and_no_more() -> None:
    rows = rows_of([1] * 1000, [0] * 8 + [1] * 992)
    rate = grouped(rows, [str(index) for index in range(1000)]).flip_rate()
    assert rate.p_below(0.02) == pytest.approx(2 * Binomial(8, 1000).p_below(0.02))
    assert rate.upper(0.01) == Binomial(8, 1000).upper(0.005)
    assert rate.upper(0.01) < GroupMeans(np.r_[np.ones(8), np.zeros(992)]).upper(0.01)


def test_one_member_a_group_is_drawn_by_its_id_and_not_by_its_verdict() -> None:
    rng = np.random.default_rng(0)
    groups = [str(index // 5) for index in range(4000)]
    flipped = (rng.random(4000) < 0.3).astype(int)
    drawn = [grouped(rows_of([1] * 4000, list(1 - values)), groups).flip_rate() for values in (flipped, flipped * 0)]
    first, second = drawn
    assert isinstance(first, Either) and isinstance(second, Either)
    assert (first.second.n, second.second.point) == (800, 0.0)
    assert first.second.point == pytest.approx(0.3, abs=0.06)
    assert first.first.point == pytest.approx(flipped.mean())


def test_groups_of_twenty_that_flip_together_are_not_passed_for_independent() -> None:
    new = np.repeat(np.r_[np.zeros(1, int), np.ones(249, int)], 20).tolist()
    sample = grouped(rows_of([1] * 5000, new), [str(index // 20) for index in range(5000)])
    assert sample.flip_rate().upper(0.05) > 0.015
    assert sample.loss_upper(0.05) > 0.015
    assert sample.num_groups == 250


def test_the_member_of_a_slice_is_drawn_among_those_of_the_slice() -> None:
    old, new = [1] * 600, [0, 1, 1] * 200
    rows = rows_of(old, new, classes=["lost", "kept", "kept"] * 200)
    sample = grouped(rows, [str(index // 3) for index in range(600)])
    values = list(sample.tally.columns["s_class"].values)
    lost = sample.slice_rate("s_class", np.array([values.index("lost")]))
    kept = sample.slice_rate("s_class", np.array([values.index("kept")]))
    assert isinstance(lost, Either) and isinstance(kept, Either)
    assert (lost.second.n, lost.second.point, kept.second.n, kept.second.point) == (200, 1.0, 200, 0.0)


def test_only_those_once_right_are_drawn_where_the_policy_counts_them_alone() -> None:
    rows = rows_of([0, 1] * 300, [1, 0] * 300)
    policy = Policy(slices={"columns": ["s_class"]}, denominator="old_right")
    rate = grouped(rows, [str(index // 2) for index in range(600)], policy).flip_rate()
    assert isinstance(rate, Either)
    assert (rate.point, rate.second.point, rate.second.n) == (1.0, 1.0, 300)


def test_a_sample_without_a_group_is_refused() -> None:
    rows = rows_of([1, 1], [1, 1])
    with pytest.raises(DataError, match="1 samples have no group"):
        GroupedSample(rows, flips.tally(rows, []), POLICY, pa.array(["a", None]).dictionary_encode())


def test_an_abstention_loses_accuracy_also_where_it_is_no_flip() -> None:
    policy = Policy(abstentions={"rule": "separate", "limit": 0.5})
    rows = rows_of([1] * 1000, [-1] * 50 + [1] * 950)
    sample = IndependentSample(flips.tally(rows, []), policy)
    assert sample.flip_rate().point == 0.0
    assert sample.loss_upper(0.05) > 0.05
    assert not sample.loss_under(0.05, 0.05)
    assert grouped(rows, [str(index) for index in range(1000)], policy).loss_upper(0.05) > 0.05


def test_losses_of_groups_are_proven_by_either_way() -> None:
    rows = rows_of([1] * 5 + [0] * 5 + [1] * 1336, [0] * 5 + [1] * 5 + [1] * 1336)
    sample = grouped(rows, [str(index) for index in range(1346)])
    assert sample.loss_under(0.02, 1e-4) and not sample.loss_under(0.005, 1e-4)
    assert sample.loss_upper(1e-4) < 0.02
    twice = rows_of([1, 1] * 500, [0, 1] * 4 + [1, 1] * 496)
    assert grouped(twice, [str(index // 2) for index in range(1000)]).loss_under(0.02, 0.01)


def test_noise_in_the_labels_tightens_limit_and_margin() -> None:
    noisy = Policy(label_noise=0.05, improvement={"margin": 0.02})
    assert effective(0.05, noisy) == pytest.approx(0.0475)
    assert effective_margin(noisy) == pytest.approx(0.018)
    assert effective(0.05, Policy()) == 0.05

"""Regions are named where errors were planted; where there is nothing, no more often than promised."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import stats

from components.selection.gate.slicing import holm
from components.selection.regions.error_regions import find_regions, holm_adjusted, put_to_test
from components.selection.regions.region_picture import draw_regions
from components.selection.regions.region_tree import (
    CLASS,
    Condition,
    ErrorTable,
    Region,
    _plain_between,
    fisher_p,
    propose_regions,
)

Rate = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
NUM_SIMULATIONS, ALPHA = 200, 0.05


def drawn(seed: int, n: int, rate: Rate, *, num_classes: int = 12, per_group: int = 1) -> ErrorTable:
    """Samples with two numbers, a word and a class; `rate` gives the chance of an error from azimuth, class, light."""
    rng = np.random.default_rng([seed, n])
    azimuth, elevation = rng.uniform(-60, 60, n), rng.uniform(5, 40, n)
    classes = np.array([f"c{index:02d}" for index in rng.integers(num_classes, size=n)], object)
    light = np.array([("day", "lamp", None)[index] for index in rng.integers(3, size=n)], object)
    return ErrorTable(
        wrong=rng.random(n) < rate(azimuth, classes, light),
        numbers={"azimuth_deg": azimuth, "elevation_deg": elevation},
        words={CLASS: classes, "light": light},
        groups=np.arange(n) // per_group,
    )


def anywhere(azimuth: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return np.full(len(azimuth), 0.25)


def beyond_forty(azimuth: np.ndarray, *_: np.ndarray) -> np.ndarray:
    return np.where(azimuth > 40, 0.36, 0.12)


def most_hits() -> int:
    """What a procedure that names something in `ALPHA` of all cases exceeds once in a thousand runs of this test."""
    return int(stats.binom.ppf(0.999, NUM_SIMULATIONS, ALPHA))


@pytest.mark.parametrize("n", [120, 400])
def test_where_errors_depend_on_nothing_hardly_anything_is_named(n: int) -> None:
    hits = sum(bool(find_regions(drawn(seed, n, anywhere), seed=seed).named) for seed in range(NUM_SIMULATIONS))
    assert hits <= most_hits()


def test_naming_regions_on_the_samples_that_suggested_them_would_be_caught() -> None:
    hits = 0
    for seed in range(NUM_SIMULATIONS):
        table = drawn(seed, 200, anywhere)
        tests = put_to_test(propose_regions(table, max_regions=6), table, alpha=ALPHA)
        hits += any(test.named for test in tests)
    assert hits > 3 * most_hits()


def test_a_planted_region_is_found_in_its_place() -> None:
    found = 0
    for seed in range(20):
        named = find_regions(drawn(seed, 1500, beyond_forty), seed=seed).named
        borders = [c.low for test in named for c in test.region.conditions if c.factor == "azimuth_deg" and c.low]
        found += any(33 < border < 47 for border in borders)
    assert found >= 18


def test_planted_classes_and_words_are_found() -> None:
    def rate(azimuth: np.ndarray, classes: np.ndarray, light: np.ndarray) -> np.ndarray:
        return np.where(np.isin(classes, ["c03", "c07"]) & (light == "lamp"), 0.8, 0.1)

    report = find_regions(drawn(1, 2000, rate))
    (best,) = sorted(report.named, key=lambda test: test.p)[:1]
    known = {condition.factor: condition.words for condition in best.region.conditions}
    assert known == {CLASS: ("c03", "c07"), "light": ("lamp",)}
    assert best.rate > 0.6 and best.rest_rate < 0.2 and best.lift and best.lift > 4
    assert "class c03 or c07" in best.region.text() and "light lamp" in best.region.text()


def test_a_chance_refinement_of_a_named_region_is_not_told_as_a_finding() -> None:
    table = drawn(0, 1500, beyond_forty)
    wide = Region(conditions=(Condition(factor="azimuth_deg", low=40.0),))
    narrow = wide.within(Condition(factor=CLASS, words=("c00", "c01", "c02", "c03", "c04", "c05")))
    tests = put_to_test([narrow, wide], table, alpha=ALPHA)
    assert tests[1].named and not tests[0].named
    assert tests[0].no_worse_than == wide and tests[0].p_holm <= ALPHA


def test_a_refinement_that_matters_is_told_beside_the_wider_region() -> None:
    def rate(azimuth: np.ndarray, classes: np.ndarray, light: np.ndarray) -> np.ndarray:
        return np.where(azimuth > 20, np.where(classes == "c01", 0.9, 0.3), 0.05)

    table = drawn(0, 2000, rate)
    wide = Region(conditions=(Condition(factor="azimuth_deg", low=20.0),))
    tests = put_to_test([wide, wide.within(Condition(factor=CLASS, words=("c01",)))], table, alpha=ALPHA)
    assert all(test.named for test in tests)


def test_groups_stay_whole_and_the_test_takes_one_of_each() -> None:
    report = find_regions(drawn(0, 1200, anywhere, per_group=4))
    assert report.num_tested == 150 and report.num_grown == 600
    honest = torn = 0
    for seed in range(NUM_SIMULATIONS // 2):
        often = drawn(seed, 60, anywhere).take(np.repeat(np.arange(60), 10))
        alone = ErrorTable(wrong=often.wrong, numbers=often.numbers, words=often.words, groups=np.arange(600))
        honest += bool(find_regions(often, seed=seed).named)
        torn += bool(find_regions(alone, seed=seed).named)
    assert honest <= int(stats.binom.ppf(0.999, NUM_SIMULATIONS // 2, ALPHA))
    assert torn > NUM_SIMULATIONS // 4, "copies on both sides make chance look certain"


@given(st.integers(1, 60), st.data())
def test_fishers_p_is_that_of_scipy(total: int, data: st.DataObject) -> None:
    n, errors = data.draw(st.integers(0, total)), data.draw(st.integers(0, total))
    k = data.draw(st.integers(max(0, n + errors - total), min(n, errors)))
    table = [[k, n - k], [errors - k, total - n - errors + k]]
    assert fisher_p(k, n, errors, total) == pytest.approx(stats.fisher_exact(table, alternative="greater")[1], rel=1e-9)


@given(st.lists(st.floats(0, 1), max_size=8), st.floats(0.001, 0.2))
def test_adjusted_p_values_reject_what_holm_rejects(p_values: list[float], level: float) -> None:
    adjusted = holm_adjusted(p_values)
    clear = all(abs(p - level) > 1e-9 for p in adjusted)
    assert not clear or [p <= level for p in adjusted] == holm(p_values, level)


@given(st.floats(-1e4, 1e4), st.floats(1e-6, 1e3))
def test_borders_have_few_digits_and_part_both_sides(low: float, gap: float) -> None:
    high = low + gap
    assert low <= _plain_between(low, high) < high
    assert _plain_between(39.87, 40.31) == 40.0


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(20, 300))
def test_regions_are_what_their_conditions_say(seed: int, n: int) -> None:
    table = drawn(seed, n, beyond_forty)
    for region in propose_regions(table, max_regions=6):
        inside = region.holds(table)
        assert inside.any() and len({c.factor for c in region.conditions}) == len(region.conditions)
        for place in np.flatnonzero(inside)[:20]:
            for condition in region.conditions:
                if condition.words:
                    assert table.words[condition.factor][place] in condition.words
                else:
                    value = table.numbers[condition.factor][place]
                    assert (condition.low is None or value > condition.low) and (
                        condition.high is None or value <= condition.high
                    )


def test_the_same_samples_and_seed_give_the_same_report() -> None:
    table = drawn(4, 600, beyond_forty)
    assert find_regions(table, seed=2).as_json() == find_regions(table, seed=2).as_json()


def test_too_few_samples_are_said_to_be_too_few() -> None:
    for n, rate in ((60, 0.1), (0, 0.1), (100, 0.95)):
        report = find_regions(drawn(0, n, lambda azimuth, *_, rate=rate: np.full(len(azimuth), rate)))
        assert not report.tests and "Too few samples" in " ".join(report.notes)


def test_without_factors_it_says_that_only_classes_can_be_found() -> None:
    whole = drawn(3, 900, lambda azimuth, classes, light: np.where(classes == "c05", 0.7, 0.1))
    names = np.array([f"photo {index}" for index in range(900)], object)
    bare = ErrorTable(
        wrong=whole.wrong,
        numbers={"constant": np.ones(900), "unknown": np.full(900, np.nan)},
        words={CLASS: whole.words[CLASS], "file": names},
        groups=whole.groups,
    )
    report = find_regions(bare)
    assert report.factors == (CLASS,)
    assert any("no numeric factors" in note for note in report.notes)
    assert any("file is left out" in note for note in report.notes)
    assert [c.words for test in report.named for c in test.region.conditions] == [("c05",)]


def test_unknown_values_lie_in_no_region() -> None:
    table = drawn(0, 50, anywhere)
    table.numbers["azimuth_deg"][:10] = np.nan
    below, above = (Condition(factor="azimuth_deg", high=0.0), Condition(factor="azimuth_deg", low=0.0))
    assert not (table.where(below) | table.where(above))[:10].any()
    assert (table.where(below) ^ table.where(above))[10:].all()
    assert not table.where(Condition(factor="nobody", low=0.0)).any()


@pytest.mark.parametrize("n", [600, 10])
def test_the_picture_is_drawn_with_and_without_findings(tmp_path: Path, n: int) -> None:
    table = drawn(0, n, beyond_forty)
    path = draw_regions(find_regions(table), table, tmp_path / "regions.png")
    with Image.open(path) as picture:
        assert picture.width > 800 and np.asarray(picture.convert("L")).std() > 5

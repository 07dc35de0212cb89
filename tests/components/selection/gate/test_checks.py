from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.selection.gate import flips
from components.selection.gate.checks import Findings, examine_rows
from components.selection.gate.claims import Levels
from components.selection.gate.groups import with_groups
from components.selection.gate.policy import Policy
from components.selection.gate.slicing import POOLED, UNLABELLED, holm

LEVELS = Levels(split="search", hold=0.05, broken=0.05)
NONE = {"rule": "none"}


def findings(pair, policy: Policy, **options: object) -> Findings:
    rows = with_groups(flips.join(pair.old, pair.new, name="t"), policy, name="t")
    return examine_rows(rows, policy, LEVELS, **options)


def results(found: Findings) -> dict[str, str]:
    return {row.value: row.result for row in found.slices}


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03], 0.05) == [True, False, False]
    assert holm([0.01, 0.02, 0.03], 0.05) == [True, True, True]
    assert holm([], 0.05) == []


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_lies_between_bonferroni_and_no_correction(p_values: list[float]) -> None:
    for p_value, rejected in zip(p_values, holm(p_values, 0.05), strict=True):
        assert not rejected or p_value <= 0.05
        assert rejected or p_value > 0.05 / len(p_values)


def test_every_slice_must_hold_and_a_broken_one_is_named(make_pair) -> None:
    values = ["bad"] * 200 + ["good"] * 800
    policy = Policy(improvement=NONE, limit=0.1, slices={"limit": 0.1})
    found = findings(make_pair(1000, 60, 60, slices={"s_c": values}), policy)
    assert results(found) == {"bad": "broken", "good": "holds"}
    assert found.broken() == ["slice s_c = bad"]
    assert not found.passed(policy)
    assert findings(make_pair(1000, 60, 60), policy).passed(policy)


def test_a_slice_limit_of_its_own(make_pair) -> None:
    values = ["bad"] * 200 + ["good"] * 800
    policy = Policy(improvement=NONE, limit=0.1, slices={"limit": 0.1, "limits": {"s_c": 0.5}})
    assert findings(make_pair(1000, 60, 60, slices={"s_c": values}), policy).passed(policy)


@pytest.mark.parametrize(("rule", "passes"), [("pool", True), ("hold", False)])
def test_small_slices_are_not_enough_evidence(make_pair, rule: str, passes: bool) -> None:
    values = ["big"] * 900 + [f"tiny {index}" for index in range(100)]
    policy = Policy(limit=0.1, slices={"too_small": rule})
    found = findings(make_pair(1000, 0, slices={"s_c": values}), policy)
    assert (results(found).get(POOLED), results(found)["tiny 7"]) == ("holds" if passes else None, "too small")
    assert found.passed(policy) == passes


def test_flips_hidden_in_small_slices_break_the_pool(make_pair) -> None:
    values = [f"tiny {index}" for index in range(150)] + ["big"] * 850
    policy = Policy(limit=0.2, slices={"limit": 0.1})
    found = findings(make_pair(1000, 60, 60, slices={"s_c": values}), policy)
    assert results(found)[POOLED] == "broken"


def test_an_empty_slice_never_counts_as_passed(make_pair) -> None:
    policy = Policy(limit=0.1, slices={"too_small": "hold"})
    pair = make_pair(1000, 0, slices={"s_c": ["u"] * 1000})
    assert findings(pair, policy).passed(policy)
    found = findings(pair, policy, expected={"s_c": {"u", "never seen"}})
    assert results(found) == {"u": "holds", "never seen": "too small"}
    assert not found.passed(policy)


def test_unlabelled_samples_never_count_as_passed(make_pair) -> None:
    policy = Policy(limit=0.1)
    found = findings(make_pair(1000, 0, slices={"s_c": ["u"] * 500 + [None] * 500}), policy)
    assert results(found) == {"u": "holds", UNLABELLED: "unlabelled"}
    assert not found.passed(policy)


def test_pairs_of_columns_find_what_single_columns_hide(make_pair) -> None:
    first, second = ["a", "b"] * 500, (["u"] * 2 + ["v"] * 2) * 250
    flipped = ["a" if index < 95 else one for index, one in enumerate(first)]
    lights = ["u" if index < 95 else one for index, one in enumerate(second)]
    policy = Policy(improvement=NONE, limit=0.22, slices={"limit": 0.22})
    crossed = Policy(improvement=NONE, limit=0.22, slices={"limit": 0.22, "pairs": [["s_a", "s_b"]]})
    pair = make_pair(1000, 95, 95, slices={"s_a": flipped, "s_b": lights})
    assert findings(pair, policy).passed(policy)
    assert findings(pair, crossed).broken() == ["slice s_a x s_b = a x u"]


def test_a_constant_slice_says_what_the_whole_says(make_pair) -> None:
    found = findings(make_pair(1000, 3, slices={"s_c": ["one"] * 1000}), Policy(slices={"limit": 0.02}))
    assert (found.slices[0].upper, found.slices[0].n) == (found.checks[0].upper, 1000)


@pytest.mark.parametrize(
    ("rule", "flips_", "result"), [("improve", 5, "holds"), ("improve", 60, "undecided"), ("non-inferior", 60, "holds")]
)
def test_improvement_rules(make_pair, rule: str, flips_: int, result: str) -> None:
    policy = Policy(limit=0.5, improvement={"rule": rule, "margin": 0.03})
    check = findings(make_pair(1000, flips_, 60), policy).checks[1]
    assert (check.name, check.result) == ("accuracy lost", result)


def test_proven_loss_of_accuracy_is_broken(make_pair) -> None:
    for rule in ("improve", "non-inferior"):
        policy = Policy(limit=0.5, improvement={"rule": rule})
        assert findings(make_pair(1000, 90, 0), policy).broken() == ["accuracy lost"]


def test_abstentions_count_as_the_policy_says(make_table) -> None:
    old, new = [1] * 900 + [0] * 100, [-1] * 60 + [1] * 840 + [0] * 100
    from components.selection.gate.evidence import Pair

    pair = Pair(old=make_table(old), new=make_table(new))
    assert findings(pair, Policy(improvement={"rule": "none"})).broken() == ["negative flips"]
    separate = Policy(improvement={"rule": "none"}, abstentions={"rule": "separate", "limit": 0.1})
    assert findings(pair, separate).passed(separate)
    strict = Policy(improvement={"rule": "none"}, abstentions={"rule": "separate", "limit": 0.03})
    assert findings(pair, strict).broken() == ["abstentions"]


def test_groups_that_flip_together_need_more_evidence(make_pair) -> None:
    slices = {"s_g": [str(index // 20) for index in range(5000)]}
    pair = make_pair(5000, 0, slices=slices)
    assert findings(pair, Policy(limit=0.01)).passed(Policy(limit=0.01))
    grouped = Policy(limit=0.01, groups="s_g")
    found = findings(pair, grouped)
    assert not found.passed(grouped)
    assert (found.checks[0].n, found.slices) == (250, ())


def test_severity_limits_weigh_classes_and_confusions(make_pair) -> None:
    pair = make_pair(2000, 20, 20)
    light = Policy(limit=0.1, severity={"weights": {"other": 2.0}, "limit": 0.05})
    assert findings(pair, light).passed(light)
    heavy = Policy(limit=0.1, severity={"weights": {"x>y": 20.0}, "limit": 0.05})
    found = findings(pair, heavy)
    assert found.broken() == ["weighted flips"]
    assert found.checks[-1].rate == pytest.approx(0.2)


def test_slices_too_small_to_test_do_not_dilute_what_is_broken(make_pair) -> None:
    values = ["bad"] * 200 + [f"tiny {index}" for index in range(800)]
    policy = Policy(improvement=NONE, limit=0.1, slices={"limit": 0.1})
    assert findings(make_pair(1000, 32, 32, slices={"s_c": values}), policy).broken() == ["slice s_c = bad"]


def test_a_slice_is_small_by_what_its_limit_counts_over(make_table) -> None:
    from components.selection.gate.evidence import Pair

    old, new = [1] * 300 + [0] * 300, [1] * 300 + [0] * 300
    slices = {"s_c": ["right"] * 250 + ["mixed"] * 350}
    pair = Pair(old=make_table(old, slices=slices), new=make_table(new, slices=slices))
    found = findings(pair, Policy(denominator="old_right", slices={"too_small": "hold"}))
    assert results(found) == {"right": "holds", "mixed": "too small"}

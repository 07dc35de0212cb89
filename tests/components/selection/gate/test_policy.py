from __future__ import annotations

import pytest

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.selection.gate.policy import Policy, SpendingPolicy


def test_defaults_are_a_policy() -> None:
    policy = parse_section(Policy, None, where="selection.policy")
    assert (policy.mode, policy.limit, policy.spending.alpha) == ("sealed", 0.02, 0.05)


def test_weights_sum_to_one_over_the_plan() -> None:
    for looks in (1, 2, 21):
        plan = SpendingPolicy(planned_looks=looks)
        assert sum(plan.weight(look) for look in range(1, looks + 5)) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"limt": 0.1}, "unknown parameter 'limt', known here: .*limit"),
        ({"limit": 0}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"slices": {"columns": ["class"]}}, "names begin with s_"),
        ({"groups": "product"}, "names begin with s_"),
        ({"mode": "peek"}, "'sealed' or 'open'"),
        ({"severity": {"weights": {"cat": -1}}}, "weights"),
        ({"spending": {"planned_looks": 0}}, "planned_looks"),
    ],
)
def test_a_wrong_policy_is_refused_by_key(value: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        parse_section(Policy, value, where="selection.policy")

"""The approval policy refuses rules that contradict one another."""

from __future__ import annotations

import pytest

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.promotion.policy import ApprovalPolicy


def test_an_automatic_policy_asks_nobody() -> None:
    assert ApprovalPolicy(auto=True, name="demo").actor == "policy:demo"
    for rule in ({"num_approvers": 2}, {"forbid_trainer": True}):
        with pytest.raises(ConfigError, match="auto approves without a person"):
            parse_section(ApprovalPolicy, {"auto": True, **rule}, where="approval")


@pytest.mark.parametrize("rule", [{"num_approvers": 0}, {"expires_after_h": 0}, {"name": "a b"}, {"atuo": True}])
def test_bad_rules_are_named(rule: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=f"approval: .*{next(iter(rule))}"):
        parse_section(ApprovalPolicy, rule, where="approval")

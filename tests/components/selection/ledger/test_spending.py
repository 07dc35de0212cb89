from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger.spending import Account, look_level, spent

FORMER = SpendingPolicy(rule="tree", first=0.2)
PLANS = st.builds(
    SpendingPolicy,
    alpha=st.floats(0.001, 0.5),
    first=st.floats(0.01, 0.99),
    planned_looks=st.integers(1, 9),
    rule=st.sampled_from(["recycle", "tree"]),
)
Promise = Callable[[Account, int], Account]


def test_every_assignment_of_claims_costs_at_most_alpha_by_brute_force() -> None:
    for rule, looks in itertools.product(("recycle", "tree"), (1, 2, 3, 4)):
        plan = SpendingPolicy(rule=rule, planned_looks=looks, first=0.6)
        nodes = [bits for depth in range(looks) for bits in itertools.product((False, True), repeat=depth)]
        levels = {bits: _after(plan, bits).next_level() for bits in nodes}
        costs = [
            _cost_of(dict(zip(nodes, claims, strict=True)), levels, looks)
            for claims in itertools.product((False, True), repeat=len(nodes))
        ]
        assert max(costs) == pytest.approx(_worst(Account.opened(plan)), rel=1e-12)
        assert max(costs) <= plan.alpha * (1 + 1e-9)
        assert rule == "tree" or max(costs) == pytest.approx(plan.alpha, rel=1e-12)


def test_all_histories_of_twelve_looks_cost_exactly_alpha() -> None:
    assert _worst(Account.opened(SpendingPolicy(planned_looks=12))) == pytest.approx(0.05, rel=1e-12)


def test_the_former_plan_costs_less_than_its_sum_over_all_nodes() -> None:
    assert _worst_former(FORMER) == pytest.approx(0.0303, abs=5e-5)
    assert _worst_former(FORMER.model_copy(update={"planned_looks": 12})) == pytest.approx(
        _worst(Account.opened(FORMER.model_copy(update={"planned_looks": 12}))), rel=1e-12
    )


@given(plan=PLANS)
@settings(deadline=None, max_examples=50)
def test_no_plan_costs_more_than_alpha(plan: SpendingPolicy) -> None:
    assert _worst(Account.opened(plan)) <= plan.alpha * (1 + 1e-9)


@pytest.mark.parametrize(("looks", "first"), [(2, 0.5), (3, 0.8), (3, 0.1), (4, 0.4)])
def test_looks_answered_late_in_any_order_cost_at_most_alpha(looks: int, first: float) -> None:
    plan = SpendingPolicy(planned_looks=looks, first=first)
    assert _worst_late(Account.opened(plan), {}, _promise) == pytest.approx(plan.alpha, rel=1e-9)


def test_a_late_yes_that_gave_back_its_own_level_would_overspend() -> None:
    def careless(account: Account, number: int) -> Account:
        look = next(one for one in account.waiting if one.number == number)
        waits = sum(one.level for one in account.waiting if one.number != number)
        return replace(_promise(account, number), left=max(0.0, look.level - waits))

    assert _worst_late(Account.opened(SpendingPolicy(planned_looks=3)), {}, careless) > 0.05 * 1.1


@given(plan=PLANS, moves=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30))
@settings(deadline=None)
def test_left_is_never_negative_nor_grows_but_by_a_promotion_whatever_is_answered_when(
    plan: SpendingPolicy, moves: list[tuple[int, bool]]
) -> None:
    account = Account.opened(plan)
    for which, promoted in moves:
        level, waiting = account.next_level(), account.waiting
        if which == 0 and level > 0.0:
            after = account.charged(account.num_charged + 1, level)
            assert after.left <= account.left
        elif waiting:
            look = waiting[which % len(waiting)]
            after = account.answered(look.number, promoted)
            allowed = max(look.level, level) if promoted and plan.rule == "recycle" else account.left
            assert after.left <= allowed * (1 + 1e-9)
        else:
            continue
        assert 0.0 <= after.left <= plan.alpha
        account = after


def test_what_the_default_gives_to_a_bootstrap_and_to_the_looks_after_it() -> None:
    account = Account.opened(SpendingPolicy())
    assert account.next_level() == pytest.approx(0.0325)
    assert account.charged(1, 0.0325).left == pytest.approx(0.0175)
    account = _after(account.plan, (True,))
    assert account.left == pytest.approx(0.0325)
    assert account.next_level() == pytest.approx(0.0325 * 2**-1.5 / sum((j + 1) ** -1.5 for j in range(1, 21)))
    assert _after(account.plan, (True, *[False] * 18)).next_level() == pytest.approx(account.next_level() / 10**1.5)
    assert _after(account.plan, (True, *[False] * 20)).next_level() == 0.0


def test_a_first_run_without_a_promotion_gives_its_later_looks_the_same() -> None:
    levels = [_after(SpendingPolicy(), (False,) * looks).next_level() for looks in range(1, 21)]
    assert levels == pytest.approx([0.0175 / 20] * 20)


def test_a_run_of_looks_all_answered_no_spends_everything() -> None:
    account = _after(SpendingPolicy(), (True, *[False] * 20))
    assert account.left == pytest.approx(0.0, abs=1e-15)


def test_an_open_look_at_an_untouched_split_takes_all_of_it() -> None:
    account = Account.opened(SpendingPolicy()).charged(1, 0.05).answered(1, False)
    assert (account.left, account.next_level()) == (0.0, 0.0)


def test_the_former_rule_keeps_its_levels() -> None:
    assert look_level(FORMER, 1, 0) == pytest.approx(0.01)
    assert look_level(FORMER, 20, 0) == pytest.approx(0.05 * 0.04 / 2)
    assert look_level(FORMER, 20, 2) == pytest.approx(0.05 * 0.04 / 8 / math.comb(19, 2))
    assert look_level(FORMER, 22, 0) == 0.0
    account = _after(FORMER, (True, False, True))
    assert account.next_level() == look_level(FORMER, 4, 2)
    assert account.left == pytest.approx(0.05 - spent(FORMER, 3))


@pytest.mark.parametrize("rule", ["recycle", "tree"])
def test_a_single_planned_look_takes_everything(rule: str) -> None:
    account = Account.opened(SpendingPolicy.model_validate({"rule": rule, "planned_looks": 1}))
    assert account.next_level() == 0.05
    assert account.charged(1, 0.05).answered(1, True).next_level() == 0.0


def test_mistakes_of_the_caller_are_told() -> None:
    account = Account.opened(SpendingPolicy())
    with pytest.raises(ValueError, match="look 2 charged after 0 looks"):
        account.charged(2, 0.01)
    with pytest.raises(ValueError, match=r"0\.05 left"):
        account.charged(1, 0.06)
    with pytest.raises(ValueError, match="was not charged, or was answered before"):
        account.answered(1, True)
    with pytest.raises(ValueError, match="there were 1 looks"):
        look_level(FORMER, 2, 2)


def _after(plan: SpendingPolicy, bits: tuple[bool, ...]) -> Account:
    account = Account.opened(plan)
    for number, promoted in enumerate(bits, start=1):
        account = account.charged(number, account.next_level()).answered(number, promoted)
    return account


def _worst(account: Account) -> float:
    """The cost of the dearest assignment of true and false claims below here, by the recursion."""
    level, number = account.next_level(), account.num_charged + 1
    if number > account.plan.planned_looks:
        return 0.0
    charged = account.charged(number, level)
    no, yes = _worst(charged.answered(number, False)), _worst(charged.answered(number, True))
    return max(level, yes) + no


def _worst_former(plan: SpendingPolicy) -> float:
    """The same where a level depends on the look and the number of promotions alone."""
    costs = [0.0] * (plan.planned_looks + 1)
    for look in range(plan.planned_looks, 0, -1):
        costs = [max(look_level(plan, look, m), costs[m + 1]) + costs[m] for m in range(look)]
    return costs[0]


def _cost_of(claims: dict[tuple[bool, ...], bool], levels: dict[tuple[bool, ...], float], looks: int) -> float:
    """The union bound for one assignment: a yes of a false claim ends the life, no other answer does."""
    open_nodes: list[tuple[bool, ...]] = [()]
    total = 0.0
    while open_nodes:
        bits = open_nodes.pop()
        total += 0.0 if claims[bits] else levels[bits]
        if len(bits) + 1 < looks:
            open_nodes += [(*bits, False), *([(*bits, True)] if claims[bits] else [])]
    return total


def _promise(account: Account, number: int) -> Account:
    return account.answered(number, True)


def _worst_late(account: Account, claims: dict[int, bool], promise: Promise) -> float:
    """The dearest way to charge and to answer in any order: an event counts once, when its look is charged."""
    costs = [0.0]
    number, level = account.num_charged + 1, account.next_level()
    if level > 0.0:
        charged = account.charged(number, level)
        costs.append(level + _worst_late(charged, {**claims, number: False}, promise))
        costs.append(_worst_late(charged, {**claims, number: True}, promise))
    for look in account.waiting:
        no = _worst_late(account.answered(look.number, False), claims, promise)
        costs.append(no + (_worst_late(promise(account, look.number), claims, promise) if claims[look.number] else 0.0))
    return max(costs)

"""Levels by history, as the component gives them: one at a time, and for many simulated lives at once."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from components.selection.gate.policy import SpendingPolicy
from components.selection.ledger.spending import Account


@cache
def level(look: int, promoted: frozenset[int] = frozenset(), plan: SpendingPolicy | None = None) -> float:
    """The level of a look after those before it were answered, `promoted` with yes and the others with no."""
    account = Account.opened(plan or SpendingPolicy())
    for number in range(1, look):
        account = account.charged(number, account.next_level()).answered(number, number in promoted)
    return account.next_level()


def every(step: int, looks: int) -> frozenset[int]:
    """The bootstrap, and then a promotion at every `step`-th look."""
    return frozenset({1, *range(step, looks, step)})


class Lives:
    """The accounts of many lives that look at the same pace; agrees with the component's, which `check` tests."""

    def __init__(self, plan: SpendingPolicy, lives: int) -> None:
        """All splits untouched."""
        if plan.rule != "recycle":
            raise ValueError(f"lives are simulated under the rule recycle, got {plan.rule}")
        self.plan = plan
        self.left = np.full(lives, plan.alpha)
        self.run_start = np.zeros(lives, np.int64)
        self.num_charged = 0
        self._tails = np.r_[0.0, np.cumsum(np.arange(2.0, plan.planned_looks + 3) ** -1.5)]

    def next_levels(self) -> NDArray[np.float64]:
        """The level of each life's next look."""
        if self.num_charged >= self.plan.planned_looks:
            return np.zeros(len(self.left))
        if self.num_charged == 0:
            return self.left * (self.plan.first if self.plan.planned_looks > 1 else 1.0)
        position = self.num_charged - self.run_start + 1
        looks = self.plan.planned_looks - self.run_start
        sooner = self.left * (position + 1.0) ** -1.5 / (self._tails[looks] - self._tails[position - 1])
        return np.where(self.run_start > 0, sooner, self.left / (looks - position + 1))

    def look(self, promoted: NDArray[np.bool_]) -> None:
        """Charge and answer a look of every life."""
        levels = self.next_levels()
        self.num_charged += 1
        self.left = np.where(promoted, levels, self.left - levels)
        self.run_start = np.where(promoted, self.num_charged, self.run_start)


def check(plan: SpendingPolicy, *, seed: int) -> None:
    """Raise where a life's levels differ from those of the component, over random histories."""
    rng = np.random.default_rng(seed)
    answers = rng.random((plan.planned_looks, 20)) < 0.3
    lives, accounts = Lives(plan, 20), [Account.opened(plan)] * 20
    for number, promoted in enumerate(answers, start=1):
        np.testing.assert_allclose(lives.next_levels(), [one.next_level() for one in accounts], rtol=1e-9, atol=1e-15)
        lives.look(promoted)
        accounts = [
            one.charged(number, one.next_level()).answered(number, bool(yes))
            for one, yes in zip(accounts, promoted, strict=True)
        ]

"""At which level each look at a certify split may test, so that its whole life errs at most alpha often.

A deterministic analyst who sees one bit a look walks a binary tree; the candidate at a node is a function of the
bits before it and of nothing else on certify. A node whose claim is false has already lost when it says yes, so
what follows its yes is free; a node whose claim is true cannot lose itself. Hence cost(node) = max(level, cost(yes))
+ cost(no), and a promotion may give the level of its look to the part of the tree below it, to be spent again
("recycle"). THEORY.md has the proof, looks answered late included. Background: Blum and Hardt 2015 (the ladder),
Dwork et al. 2015 (the reusable holdout).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from components.selection.gate.policy import SpendingPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    """A look that was charged and not answered yet; `run` is the number of promotions when it was charged."""

    number: int
    level: float
    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one certify split may still spend; a value, made anew by each charge and each answer.

    A run is the looks from one promotion to the next; it spreads its budget over the planned looks that remain, the
    j-th in proportion to (j + 1)^-1.5. The first run gives its first look, as a rule the bootstrap, `plan.first`, and
    the others alike.
    """

    plan: SpendingPolicy
    left: float  # of alpha: the budget of the part of the tree that can still be reached
    num_charged: int = 0
    num_promoted: int = 0
    run_start: int = 0  # looks charged before the present run
    waiting: tuple[_Waiting, ...] = ()

    @classmethod
    def opened(cls, plan: SpendingPolicy) -> Account:
        """The account of a split that nobody has looked at."""
        return cls(plan=plan, left=plan.alpha)

    def next_level(self) -> float:
        """The level of the next sealed look; 0 when none is left."""
        if self.num_charged >= self.plan.planned_looks or self.left <= 0.0:
            return 0.0
        if self.plan.rule == "tree":
            return look_level(self.plan, self.num_charged + 1, self.num_promoted)
        return self.left * self._share()

    def charged(self, number: int, level: float) -> Account:
        """After look `number` was charged `level`, whatever it will answer."""
        if number != self.num_charged + 1:
            raise ValueError(f"look {number} charged after {self.num_charged} looks")
        if not 0.0 <= level <= self.left * (1.0 + 1e-9):
            raise ValueError(f"look {number} charged at {level}, of {self.left} left")
        one = _Waiting(number=number, level=level, run=self.num_promoted)
        left = self.left - level if self.plan.rule == "recycle" else self.plan.alpha - spent(self.plan, number)
        return replace(self, left=max(0.0, left), num_charged=number, waiting=(*self.waiting, one))

    def answered(self, number: int, promoted: bool) -> Account:
        """After look `number` was answered.

        No gives nothing back. Yes gives the level of the look to a new run. A look charged before the last promotion
        was paid for by a run that is over: it is charged once more, to the present run, and gives that.
        """
        look = next((one for one in self.waiting if one.number == number), None)
        if look is None:
            raise ValueError(f"look {number} was not charged, or was answered before")
        waiting = tuple(one for one in self.waiting if one.number != number)
        if self.plan.rule == "tree":
            return replace(self, num_promoted=self.num_promoted + promoted, waiting=waiting)
        late = look.run < self.num_promoted
        paid = self.next_level() if late else look.level
        if not promoted:
            return replace(self, left=max(0.0, self.left - paid) if late else self.left, waiting=waiting)
        return replace(self, left=paid, num_promoted=self.num_promoted + 1, run_start=self.num_charged, waiting=waiting)

    def _share(self) -> float:
        """The next look's share of what is left."""
        if self.num_charged == 0 and self.plan.planned_looks > 1:
            return self.plan.first
        position, looks = self.num_charged - self.run_start + 1, self.plan.planned_looks - self.run_start
        falling = 1.5 if self.num_promoted else 0.0
        weights = [float((later + 1) ** -falling) for later in range(position, looks + 1)]
        return weights[0] / math.fsum(weights)


def look_level(plan: SpendingPolicy, look: int, num_promotions: int) -> float:
    """The level of look `look` (from 1) after `num_promotions` earlier promotions under rule "tree"; 0 beyond it.

    At look k there are C(k-1, m) nodes with m promotions before; their levels are alpha * w_k * share(k, m) /
    C(k-1, m), with shares that sum to at most one over m, so that even the sum over all nodes is at most alpha.
    """
    if not 0 <= num_promotions < look:
        raise ValueError(f"{num_promotions} promotions before look {look}: there were {look - 1} looks")
    histories = math.comb(look - 1, num_promotions)
    return plan.alpha * plan.weight(look) * promotion_share(look, num_promotions) / histories


def promotion_share(look: int, num_promotions: int) -> float:
    """The share of a look's weight for histories with `num_promotions`; sums to at most 1 over 0..look-1."""
    return 1.0 if look == 1 else float(0.5 ** (num_promotions + 1))


def spent(plan: SpendingPolicy, num_looks: int) -> float:
    """The part of alpha that `num_looks` looks have used up under rule "tree", whatever their answers."""
    return plan.alpha * math.fsum(plan.weight(look) for look in range(1, num_looks + 1))

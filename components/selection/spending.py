"""At which level the k-th look at a certify split may test, so that its whole life errs at most alpha often.

A deterministic analyst who sees one bit a look walks a binary tree: the candidate at a node is a function of
the bits before it and of nothing else on certify. At look k there are C(k-1, m) nodes with m promotions
before; their levels are alpha * w_k * share(k, m) / C(k-1, m), with shares that sum to at most one over m. The
sum over all nodes of the tree is then at most alpha, and so is the chance of any wrong promotion (union
bound). Without the shares the sum would be alpha * w_k * k. Background: Blum and Hardt 2015 (the ladder),
Dwork et al. 2015 (the reusable holdout), and the two-part code of a bit string for its type.
"""

from __future__ import annotations

import math

from components.selection.policy import SpendingPolicy


def look_level(plan: SpendingPolicy, look: int, num_promotions: int) -> float:
    """The level of look `look` (from 1) after `num_promotions` earlier promotions; 0 beyond the plan."""
    if not 0 <= num_promotions < look:
        raise ValueError(f"{num_promotions} promotions before look {look}: there were {look - 1} looks")
    histories = math.comb(look - 1, num_promotions)
    return plan.alpha * plan.weight(look) * promotion_share(look, num_promotions) / histories


def promotion_share(look: int, num_promotions: int) -> float:
    """The share of a look's weight for histories with `num_promotions`; sums to at most 1 over 0..look-1."""
    return 1.0 if look == 1 else float(0.5 ** (num_promotions + 1))


def spent(plan: SpendingPolicy, num_looks: int) -> float:
    """The part of alpha that `num_looks` looks have used up, whatever their answers."""
    return plan.alpha * math.fsum(plan.weight(look) for look in range(1, num_looks + 1))

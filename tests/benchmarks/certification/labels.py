"""Certify labels of which some are wrong: lives with a wrong promotion, the policy not knowing and knowing of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy import special

from components.selection.gate.rates import effective
from tests.benchmarks.certification import histories, lifetimes, shipped
from tests.benchmarks.figures import Figure

SEED, LIVES, NOISE = 0, 10_000, 0.05


def figures() -> Iterator[Figure]:
    """At two sizes; every candidate after the bootstrap truly flips as many as the limit allows."""
    for n in (shipped.N, 20_000):
        ignored, known = (wrong_lives(n, told) for told in (0.0, NOISE))
        yield Figure(
            name=f"wrong lives at n {n:,} where {NOISE:.0%} of the labels are wrong, label_noise {NOISE}",
            value=known,
            goal="at most 5%",
            met=lifetimes.share_upper(known, LIVES) <= lifetimes.ALPHA,
            peer=f"label_noise 0 {ignored:.1%}",
            ratio=known / ignored,
            seeds=[SEED],
            spread=f"99% bound {lifetimes.share_upper(known, LIVES):.2%}",
        )


def wrong_lives(n: int, told: float) -> float:
    """The share of lives that promote; a true flip under a wrong label is not seen."""
    rng = np.random.default_rng([SEED, 47])
    policy = shipped.policy().model_copy(update={"label_noise": told})
    book, wrong = histories.Lives(policy.spending, LIVES), np.zeros(LIVES, bool)
    book.look(np.ones(LIVES, bool))
    for _ in range(1, policy.spending.planned_looks):
        seen = rng.binomial(rng.binomial(n, policy.limit, LIVES), 1.0 - NOISE)
        passed = special.bdtr(seen, n, effective(policy.limit, policy)) <= book.next_levels()
        wrong |= passed
        book.look(passed)
    return float(wrong.mean())

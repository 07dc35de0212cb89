"""Ways to prove that little accuracy is lost: the share proven by each on the same draws, as THEORY.md tells."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from components.selection.gate import paired
from components.selection.gate.bounds import most_flips
from tests.benchmarks.figures import SHORT, Figure

MARGIN = 0.02
DRAWS = 200 if SHORT else 2000
SETTINGS = (  # samples, share lost, share gained, level
    (500, 0.004, 0.004, 1e-3),
    (1346, 0.004, 0.004, 1e-4),
    (1346, 0.01, 0.01, 1e-3),
    (1346, 0.02, 0.02, 1e-3),
    (5000, 0.03, 0.03, 1e-5),
)


def figures() -> Iterator[Figure]:
    """The exact test that decides, beside the product of two bounds and "either that or the flips' own bound"."""
    for n, lost, gained, level in SETTINGS:
        exact, product, either = _shares(n, lost, gained, level)
        yield Figure(
            name=f"accuracy proven, n {n:,}, {lost:.1%} lost and gained, margin 2%, level {level:g}",
            value=exact,
            goal="at least the others'",
            met=exact >= max(product, either),
            peer=f"product {product:.0%}, either {either:.0%}",
            seeds=[0],
            spread=f"{DRAWS} draws",
        )


def _shares(n: int, lost: float, gained: float, level: float) -> tuple[float, float, float]:
    rng = np.random.default_rng([0, n])
    drawn = rng.multinomial(n, [lost, gained, 1.0 - lost - gained], DRAWS)[:, :2]
    pairs, counts = np.unique(drawn, axis=0, return_counts=True)
    most = most_flips(n, MARGIN, level / 2)
    proven = np.zeros(3)
    for (losses, gains), count in zip(pairs.tolist(), counts.tolist(), strict=True):
        halved = losses <= most or paired.product_upper(gains, losses, n, level / 2) < MARGIN
        whole = paired.product_upper(gains, losses, n, level) < MARGIN
        proven += count * np.array([paired.loss_under(MARGIN, gains, losses, n, level), whole, halved])
    exact, product, either = (proven / DRAWS).tolist()
    return exact, product, either

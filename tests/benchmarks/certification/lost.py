"""Candidates that lose one whole rare class, under the policy of params.yaml: how many are promoted all the same.

Classes are as common as 1/rank. The loss shows on search or inside certify's one bit; a class of a photo or two cannot
be proven lost, and the Decision says so (`ColumnScope.lost_below`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from components.core.params import parse_section, read_params
from components.selection.gate.checks import Findings, examine
from components.selection.gate.claims import Levels
from components.selection.gate.flips import NUM_STATES, Cells, Tally
from components.selection.gate.policy import Policy
from components.selection.gate.slicing import scope_of
from components.selection.ledger.spending import Account
from tests.benchmarks.figures import SHORT, Figure

NUM_CERTIFY, NUM_SEARCH, RATE = 1346, 673, 0.003
CANDIDATES = 300 if SHORT else 2000
_BOTH, _LOST = 8, 7  # states: right before and now; right before, wrong now


def figures() -> Iterator[Figure]:
    """By number of classes: the share promoted, and that of those losing a class as large as the Decision names."""
    path = Path(__file__).resolve().parents[3] / "params.yaml"
    policy = parse_section(Policy, read_params(path)["selection"]["policy"], where="params.yaml")
    for num_classes in (40, 81):
        sizes, named, promoted, point = _candidates(policy, num_classes, np.random.default_rng([0, num_classes]))
        telling = sizes >= named
        yield Figure(
            name=f"promoted though one whole rare class of {num_classes} is lost",
            value=float(promoted.mean()),
            peer=f"point estimate {point.mean():.1%}",
            ratio=float(promoted.mean() / point.mean()),
            seeds=[0],
            spread=f"{CANDIDATES} candidates; the class has {np.median(sizes):.0f} certify photos in the median",
        )
        yield Figure(
            name=f"the same of {num_classes}, where the Decision says that a class so large cannot be lost unseen",
            value=float(promoted[telling].mean()),
            goal="none",
            met=not promoted[telling].any(),
            peer=f"point estimate {point[telling].mean():.1%}",
            seeds=[0],
            spread=f"{int(telling.sum())} candidates; from {np.median(named):.0f} certify photos on, in the median",
        )


def _candidates(
    policy: Policy, num_classes: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    plan = policy.spending
    opened = Account.opened(plan)
    level = opened.charged(1, opened.next_level()).answered(1, promoted=True).next_level()
    shares = 1.0 / np.arange(1, num_classes + 1)
    shares /= shares.sum()
    rare = np.flatnonzero(shares * NUM_CERTIFY < policy.slices.min_n)
    sizes, named, promoted, point = [], [], [], []
    for _ in range(CANDIDATES):
        lost = int(rng.choice(rare))
        certify, search = (_tally(rng.multinomial(n, shares), lost, rng) for n in (NUM_CERTIFY, NUM_SEARCH))
        shown = examine(search, policy, Levels(split="search", hold=plan.alpha, broken=plan.alpha))
        asked = examine(certify, policy, Levels(split="certify", hold=level, broken=plan.alpha))
        sizes.append(int(certify.columns["s_class"].counts[lost].sum()))
        named.append(scope_of(certify.columns, policy)[0].lost_below)
        promoted.append(not shown.broken() and not shown.lost() and asked.passed(policy))
        point.append(_passes_by_estimate(asked, policy))
    return np.array(sizes), np.array(named), np.array(promoted), np.array(point)


def _tally(sizes: NDArray[np.int64], lost: int, rng: np.random.Generator) -> Tally:
    counts = np.zeros((len(sizes), NUM_STATES), np.int64)
    counts[:, _LOST] = rng.binomial(sizes, RATE)
    counts[lost, _LOST] = sizes[lost]
    counts[:, _BOTH] = sizes - counts[:, _LOST]
    return Tally(counts.sum(axis=0), {"s_class": Cells(tuple(f"c{index}" for index in range(len(sizes))), counts)})


def _passes_by_estimate(found: Findings, policy: Policy) -> bool:
    """The usual gate: the rate seen is under the limit, overall and in every slice large enough."""
    (flips, *_) = found.checks
    slices = [row for row in found.slices if row.n >= policy.slices.min_n and row.rate is not None]
    return (flips.rate or 0.0) < policy.limit and all((row.rate or 0.0) < row.limit for row in slices)

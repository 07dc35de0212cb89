"""What a split of some size would say: all claims of a policy at once, on rates that are themselves uncertain.

The rates come from a split that is shown (search), which holds fewer samples than the one that decides. Each is
therefore drawn from its posterior, a slice's drawn towards the rate of all; a split's counts are drawn given the
rates, and every claim is put to its test. The share of draws that pass is the chance of a promotion, on average over
what the shown split leaves open. Seeded, so the same evidence gets the same advice. Planning figures, no guarantees:
the accuracy rule is tested by its score, and groups count as fewer independent samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import special

from components.core.decisions import SliceCheck
from components.selection.gate import flips, unconditional
from components.selection.gate.bounds import Either, GroupMeans, Rate, most_flips
from components.selection.gate.checks import Findings
from components.selection.gate.policy import Policy
from components.selection.gate.rates import GroupedSample, Sample, counts_under, effective, effective_margin
from components.selection.gate.slicing import POOLED, UNLABELLED

_DRAWS, _SEED = 2000, 0
_MOST_SLICES = 200  # the least proven ones; of thousands the others hardly matter
_OTHER = 1 << 30
_EVEN = 20.0  # gains taken to be seen before, at the rate of losses: most candidates are about as accurate
_TOWARDS_ALL = 10.0  # what the rate of all weighs for a slice, in samples
_BETS_COST = 8.0  # of the level, for bets on group means instead of counts
_Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A rate to be proven under its limit: what share of a split it is counted on, and what its rate may be."""

    limit: float
    share: float
    rates: _Floats  # one a draw
    luck: tuple[int, int]  # a seed: what shares it shares its counts
    at_least: float = 0.0  # samples; claimed only where a split holds so many
    scale: float = 1.0  # what one count weighs

    def count(self, n: float) -> _Floats:
        """The counts on `n` samples."""
        size = max(0, math.floor(n * self.share))
        return np.random.default_rng(self.luck).binomial(size, self.rates).astype(np.float64)

    def holds(self, counts: _Floats, n: float, level: float) -> NDArray[np.bool_]:
        """In which draws the claim is proven."""
        size = math.floor(n * self.share)
        if size < self.at_least:
            return np.ones(len(counts), bool)
        return np.asarray(counts * self.scale <= most_flips(size, self.limit, level), dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """The claim about accuracy: shares lost and gained."""

    margin: float
    lost: Claim
    gained: Claim

    def holds(self, lost: _Floats, gained: _Floats, n: float, level: float) -> NDArray[np.bool_]:
        """In which draws the score test proves the loss under the margin; at a margin of 0 the sign of the change."""
        size = max(1, math.floor(n))
        if self.margin <= 0.0:
            both = np.maximum(lost + gained, 1.0)
            return np.asarray(special.bdtrc(gained - 1, both.astype(int), 0.5) <= level, dtype=bool)
        value = unconditional.score(gained.astype(np.int64), lost.astype(np.int64), size, self.margin)
        return np.asarray(value <= special.ndtri(level * 0.9), dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitPlan:
    """All claims of a policy, over the same draws."""

    claims: tuple[Claim, ...]
    accuracy: Accuracy | None = None
    per_sample: float = 1.0  # independent samples that one is worth
    level_share: float = 1.0  # of the level, for each of the ways in which a rate is seen

    @classmethod
    def of(cls, sample: Sample, findings: Findings, policy: Policy) -> Self:
        """From what a shown split holds of flips, slices, gains, abstentions, severity and the anchor."""
        rng = np.random.default_rng(_SEED)
        counts = counts_under(sample.tally.total, policy)
        n_counted = counts.n if policy.denominator == "all" else counts.n_old_right
        worth, level_share = _worth_of_one(sample)
        drawn = _Draws(rng=rng, n=counts.n, worth=worth)
        accuracy = None if policy.improvement.rule == "none" else _accuracy(sample, drawn, policy)
        flipped = drawn.claim(counts.negative_flips, n_counted, effective(policy.limit, policy))
        lost = int(flips.discordant(sample.tally.total)[1])
        if accuracy is not None and policy.denominator == "all" and lost == counts.negative_flips:
            flipped = replace(accuracy.lost, limit=flipped.limit)
        named = [row for row in findings.slices if not row.value.startswith(POOLED) and row.value != UNLABELLED]
        rows = sorted(named, key=lambda row: -(row.upper or 0.0))[:_MOST_SLICES]
        claims = [flipped, *(_of_slice(row, policy, drawn, counts.negative_flips / max(n_counted, 1)) for row in rows)]
        claims += [
            drawn.claim(round(check.rate * check.n), check.n, check.limit)  # n may count groups, count never does
            for check in findings.checks
            if check.name in ("flips against the anchor", "abstentions") and check.n and check.rate is not None
        ]
        claims += _of_severity(flipped, findings, policy)
        return cls(claims=tuple(claims), accuracy=accuracy, per_sample=worth, level_share=level_share)

    def passes(self, n: float, level: float, asked: tuple[int, float] | None = None) -> float:
        """The chance that a split of `n` passes; given `asked`, that one grown to `n` does after it said no.

        `asked` is the size of the split and the level at which it was asked.
        """
        if asked is None:
            return float(self._held(self._counts(n), n, level).mean())
        before = self._counts(asked[0])
        refused = ~self._held(before, asked[0], asked[1])
        if refused.sum() < _DRAWS // 100:  # what is shown does not explain the answer
            refused = np.ones(_DRAWS, bool)
        more = self._with_other_luck()._counts(n - asked[0])
        counts = [b + m for b, m in zip(before, more, strict=True)]
        return float(self._held(counts, n, level)[refused].mean())

    def _counts(self, n: float) -> list[_Floats]:
        n = max(n, 0.0) * self.per_sample
        counts = [claim.count(n) for claim in self.claims]
        return (
            counts if self.accuracy is None else [*counts, self.accuracy.lost.count(n), self.accuracy.gained.count(n)]
        )

    def _held(self, counts: list[_Floats], n: float, level: float) -> NDArray[np.bool_]:
        n, level = n * self.per_sample, level * self.level_share
        held = np.ones(_DRAWS, bool)
        for claim, count in zip(self.claims, counts, strict=False):
            held &= claim.holds(count, n, level)
        if self.accuracy is not None:
            held &= self.accuracy.holds(counts[-2], counts[-1], n, level)
        return held

    def _with_other_luck(self) -> SplitPlan:
        """The same rates; for samples that come on top of those drawn."""

        def again(claim: Claim) -> Claim:
            return replace(claim, luck=(claim.luck[0], claim.luck[1] + _OTHER))

        accuracy = self.accuracy
        if accuracy is not None:
            accuracy = replace(accuracy, lost=again(accuracy.lost), gained=again(accuracy.gained))
        return replace(self, claims=tuple(again(claim) for claim in self.claims), accuracy=accuracy)


def fixed(rate: float, limit: float, *, stream: int) -> Claim:
    """A claim on all samples of a split, at a rate that is known."""
    return Claim(limit=limit, share=1.0, rates=np.full(_DRAWS, rate), luck=(_SEED, stream))


def rate_plan(rate: Rate, limit: float) -> SplitPlan:
    """The plan of one rate alone, as far as it was seen."""
    groups = isinstance(rate, (Either, GroupMeans))
    drawn = _Draws(rng=np.random.default_rng(_SEED), n=rate.n, worth=1.0)
    return SplitPlan(
        claims=(drawn.claim(round(rate.point * rate.n), rate.n, limit),), level_share=0.5 if groups else 1.0
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draws:
    """Draws rates of which `n` samples, each worth `worth` independent ones, were seen."""

    rng: np.random.Generator
    n: int
    worth: float

    def claim(self, count: int, n: int, limit: float | None, *, prior: tuple[float, float] = (0.5, 0.5)) -> Claim:
        seen, rest = count * self.worth, (n - count) * self.worth
        rates = self.rng.beta(seen + prior[0], rest + prior[1], _DRAWS)
        return self.of_rates(rates, limit or 0.0, n / max(self.n, 1))

    def of_rates(self, rates: _Floats, limit: float, share: float) -> Claim:
        return Claim(limit=limit, share=share, rates=rates, luck=(_SEED, int(self.rng.integers(1, _OTHER))))


def _of_slice(row: SliceCheck, policy: Policy, drawn: _Draws, overall: float) -> Claim:
    n = row.n if policy.denominator == "all" else row.n_old_right
    prior = _TOWARDS_ALL * overall + 0.1, _TOWARDS_ALL * (1.0 - overall) + 0.1
    claim = drawn.claim(row.negative_flips, n, effective(row.limit, policy), prior=prior)
    return replace(claim, at_least=policy.slices.min_n * drawn.worth)


def _of_severity(flipped: Claim, findings: Findings, policy: Policy) -> list[Claim]:
    """The weighted rate, as flips of the mean weight seen; bets cost a part of the level, here of the count."""
    most = max([1.0, *policy.severity.weights.values()])
    rows = [check for check in findings.checks if check.name == "weighted flips" and check.count]
    return [
        replace(
            flipped, limit=check.limit / most, scale=1.1 * (check.rate or 0.0) * (check.n or 0) / (check.count * most)
        )
        for check in rows
        if check.limit is not None and check.count and check.limit < most
    ]


def _accuracy(sample: Sample, drawn: _Draws, policy: Policy) -> Accuracy:
    """Shares lost and gained; where no gain is asked for, the gained are drawn towards the lost."""
    gained, lost, _ = flips.discordant(sample.tally.total)
    margin = 0.0 if policy.improvement.rule == "improve" else effective_margin(policy)
    losses = drawn.claim(lost, drawn.n, None)
    even = _EVEN if margin > 0.0 else 0.0
    seen, rest = gained * drawn.worth + even, (drawn.n - gained) * drawn.worth + even / losses.rates - even
    return Accuracy(
        margin=margin,
        lost=losses,
        gained=drawn.of_rates(drawn.rng.beta(seen + 0.5, rest + 0.5), 0.0, 1.0),
    )


def _worth_of_one(sample: Sample) -> tuple[float, float]:
    """How many independent samples one of a group is worth, and the share of the level that a proof has."""
    if not isinstance(sample, GroupedSample):
        return 1.0, 1.0
    n, groups = int(sample.tally.total.sum()), sample.num_groups
    means = _means(sample.flip_rate())
    spread = float(means.var()) if len(means) else 0.0
    rate = float(means.mean()) if len(means) else 0.0
    trials = min(max(len(means) * rate * (1.0 - rate) / spread, groups), n) if spread > 0.0 else groups
    return trials / n, 0.5 if trials < 1.2 * groups else 0.5 / _BETS_COST


def _means(rate: Rate) -> _Floats:
    first = rate.first if isinstance(rate, Either) else rate
    return first.values if isinstance(first, GroupMeans) else np.zeros(0)

"""The `selection.policy` section of params.yaml: what a release manager allows, in words and numbers.

Every limit is one-sided and certified: a candidate passes when the exact upper bound lies under it, never the
estimate alone. Rates are shares (0.02 is 2%).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from components.core.params import Section

Share = Annotated[float, Field(gt=0.0, lt=1.0)]


class SlicePolicy(Section):
    """Limits for parts of the data; every slice must hold for a promotion."""

    columns: tuple[str, ...] | None = None  # None: every s_* column of the verdict tables
    pairs: tuple[tuple[str, str], ...] = ()  # columns to cross, e.g. [[s_class, s_light]]
    limit: Share = 0.10  # looser than the overall limit, since slices hold fewer samples
    limits: dict[str, Share] = Field(default_factory=dict)  # a limit of its own for a column
    min_n: Annotated[int, Field(ge=1)] = 100  # a smaller slice is not enough evidence
    too_small: Literal["pool", "hold"] = "pool"  # pool: tested together, per column; hold: no promotion


class ImprovementPolicy(Section):
    """What the candidate must prove beside doing no harm."""

    rule: Literal["improve", "non-inferior", "none"] = "non-inferior"
    margin: Share = 0.02  # non-inferior: accuracy may be lower by less than this


class AbstentionPolicy(Section):
    """How an abstention (verdict -1) counts."""

    rule: Literal["wrong", "separate"] = "wrong"
    limit: Share = 0.05  # separate: the candidate's rate of abstentions must stay under this


class SeverityPolicy(Section):
    """Weights of negative flips by the true class (`cat`) or the confusion (`cat>dog`); others weigh 1."""

    weights: dict[str, Annotated[float, Field(ge=0.0, allow_inf_nan=False)]] = Field(default_factory=dict)
    limit: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] | None = None  # on the weighted rate; None: reported


class SpendingPolicy(Section):
    """How the error budget of one certify split is spent; fixed by the split's first look."""

    rule: Literal["recycle", "tree"] = "recycle"  # tree: the former rule, for splits that were begun under it
    alpha: Share = 0.05  # chance that any promotion in the split's whole life breaks a limit
    first: Share = 0.65  # share of alpha for the first look (the bootstrap); a promotion's level is spent again
    planned_looks: Annotated[int, Field(ge=1, le=1000)] = 21

    def weight(self, look: int) -> float:
        """The share of alpha that rule "tree" sets aside for look `look` (1 is the first); 0 beyond the plan."""
        if look > self.planned_looks:
            return 0.0
        if self.planned_looks == 1:
            return 1.0
        return self.first if look == 1 else (1.0 - self.first) / (self.planned_looks - 1)


class Policy(Section):
    """What a candidate must prove to be promoted."""

    mode: Literal["sealed", "open"] = "sealed"  # sealed: certify answers one bit; open: shows all and burns the split
    limit: Share = 0.02  # negative flips: right before, wrong now
    denominator: Literal["all", "old_right"] = "all"  # of all samples, or of those the champion had right
    slices: SlicePolicy = SlicePolicy()
    improvement: ImprovementPolicy = ImprovementPolicy()
    abstentions: AbstentionPolicy = AbstentionPolicy()
    severity: SeverityPolicy = SeverityPolicy()
    spending: SpendingPolicy = SpendingPolicy()
    anchor_limit: Share | None = None  # flips against the pinned anchor, cumulative over releases; None: no anchor
    groups: str | None = None  # s_* column of things photographed together, e.g. s_group; None: independent samples
    label_noise: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.0  # share of labels that may be wrong; tightens the limits
    noise_floor: Share | None = None  # stated reseed flip rate, used when none was measured
    bootstrap_accuracy: Share = 0.5  # first release, no champion yet: accuracy proven to be at least this
    min_power: Share = 0.8  # chance of promotion that "further samples" aims at

    @model_validator(mode="after")
    def _slices_are_slice_columns(self) -> Self:
        named = [*(self.slices.columns or ()), *self.slices.limits, *(c for pair in self.slices.pairs for c in pair)]
        strange = [name for name in [*named, *([self.groups] if self.groups else [])] if not name.startswith("s_")]
        crossed = [name for name in self.slices.limits if " x " in name]
        strange = [name for name in strange if name not in crossed]
        if strange:
            raise ValueError(f"{strange} are no slice columns: their names begin with s_, as in the verdict tables")
        return self

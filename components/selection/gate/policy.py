"""The `selection.policy` section of params.yaml: what a release manager allows, in words and numbers.

Every limit is one-sided and certified: a candidate passes when the exact upper bound lies under it, never the
estimate alone. Rates are shares (0.02 is 2%).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from components.core.params import Section

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
GROUPINGS = ("auto", "none", "group")  # words for `groups` that are no slice column


class SlicePolicy(Section):
    """Limits for parts of the data; every slice must hold for a promotion."""

    columns: tuple[str, ...] | None = None  # None: every s_* column of the verdict tables
    pairs: tuple[tuple[str, str], ...] = ()  # columns to cross, e.g. [[s_class, s_light]]
    limit: Share = 0.10  # looser than the overall limit, since slices hold fewer samples
    limits: dict[str, Share | dict[str, Share]] = Field(default_factory=dict)  # a column's own, or each value's
    min_n: Annotated[int, Field(ge=1)] = 100  # a smaller slice is no claim of its own
    too_small: Literal["pool", "hold"] = "pool"  # pool: tested together, per column and limit; hold: no promotion
    critical: dict[str, tuple[str, ...]] = Field(default_factory=dict)  # values to be proven alone, whatever their size

    def limit_of(self, column: str, value: str) -> float:
        """The limit of one slice: its value's, else its column's, else that of all."""
        own = self.limits.get(column, self.limit)
        return own.get(value, self.limit) if isinstance(own, dict) else own

    def is_critical(self, column: str, value: str) -> bool:
        """Whether a promotion needs this slice proven by itself."""
        return value in self.critical.get(column, ())


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
    groups: str = "auto"  # auto: the tables' `group` where any holds two samples; none: independent; or an s_* column
    label_noise: Annotated[float, Field(ge=0.0, lt=0.5)] = 0.0  # share of labels that may be wrong; tightens the limits
    noise_floor: Share | None = None  # stated reseed flip rate, used when none was measured
    bootstrap_accuracy: Share = 0.5  # first release, no champion yet: accuracy proven to be at least this
    min_power: Share = 0.8  # chance of promotion that "further samples" aims at

    @field_validator("groups", mode="before")
    @classmethod
    def _null_is_auto(cls, value: object) -> object:
        return "auto" if value is None else value

    @model_validator(mode="after")
    def _slices_are_slice_columns(self) -> Self:
        named = [*(self.slices.columns or ()), *self.slices.limits, *(c for pair in self.slices.pairs for c in pair)]
        named += [*self.slices.critical, *([] if self.groups in GROUPINGS else [self.groups])]
        strange = [name for name in named if not name.startswith("s_")]
        crossed = [name for name in self.slices.limits if " x " in name]
        strange = [name for name in strange if name not in crossed]
        if strange:
            raise ValueError(f"{strange} are no slice columns: their names begin with s_, as in the verdict tables")
        return self

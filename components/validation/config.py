"""The section `validation` of params.yaml: what an image and a data set must be like to be used."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.core.manifest import Split
from components.core.params import Section
from components.datasets import duplicates

Share = Annotated[float, Field(gt=0, lt=1)]


class SplitShares(Section):
    """How the labelled photos are dealt out; they add up to 1. The reserve is kept for the next certify split."""

    train: Share = 0.70
    search: Share = 0.10
    certify: Share = 0.20
    reserve: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _add_up(self) -> SplitShares:
        total = self.train + self.search + self.certify + self.reserve
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, search, certify and reserve add up to {total:g}, they must add up to 1")
        return self

    def by_split(self) -> dict[Split, float]:
        """The shares by the name of their split; no reserve where it has none."""
        dealt: dict[Split, float] = {"train": self.train, "search": self.search, "certify": self.certify}
        return dealt | ({"reserve": self.reserve} if self.reserve else {})


class ScenesConfig(Section):
    """How scenes, photos taken in one go, are told, and whether new photos are dealt out by them.

    `features` auto means appearance; the champion's serve for warnings alone, whatever `apply` says, since splits must
    not depend on who is champion. `minutes` is the longest time between two photos of a scene (0: EXIF is not used).
    `threshold` auto sets the cosine by what photos of other classes reach.
    """

    features: Literal["auto", "appearance", "champion", "none"] = "auto"
    minutes: float = Field(default=10.0, ge=0)
    threshold: Literal["auto"] | Annotated[float, Field(gt=0, le=1)] = "auto"
    apply: Literal["group", "warn"] = "group"


class ValidationConfig(Section):
    """Limits of the checks; sizes in pixels, `blank_std` and means in levels of 255.

    `split_seed` deals photos out and does nothing else. The first look at the split fixes it: a photo once dealt
    stays, so another seed, like other shares, is for photos that come in later.
    """

    shares: SplitShares = SplitShares()
    split_seed: int = Field(default=0, ge=0, lt=2**31)
    share_tolerance: float = Field(default=0.10, ge=0, le=1)
    max_quarantined_share: float = Field(default=0.10, ge=0, le=1)
    min_side_px: int = Field(default=16, ge=8)
    small_side_px: int = Field(default=64, ge=8)
    max_aspect: float = Field(default=4.0, ge=1)
    max_class_ratio: float = Field(default=10.0, ge=1)
    blank_std: float = Field(default=2.0, ge=0)
    min_mean: float = Field(default=10.0, ge=0, le=255)
    max_mean: float = Field(default=245.0, ge=0, le=255)
    near_distance: int = Field(default=duplicates.MAX_DISTANCE, ge=0, le=63)
    near_correlation: float = Field(default=duplicates.MIN_CORRELATION, ge=-1, le=1)
    scenes: ScenesConfig = ScenesConfig()

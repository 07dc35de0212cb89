"""The `training` section of params.yaml: one recipe a candidate."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from components.core.params import Section

Treatment = Literal["plain", "contained"]


class Recipe(Section):
    """How one candidate is made.

    `contained` puts the champion inside, whose answers stand wherever the new part is not much surer; it is skipped,
    and said to be, when there is no champion yet.
    """

    treatment: Treatment = "plain"
    use: Literal["both", "photos", "synthetic"] = "both"  # which images to train on
    backbone: str | None = None  # a torchvision model's name instead of our convnet
    pretrained: bool = False  # the backbone's published weights: needs a download
    widths: tuple[int, ...] = (32, 64, 128, 256)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    stem_stride: Literal[1, 2] = 2
    epochs: int = Field(40, ge=1, le=10_000)
    learning_rate: float = Field(0.004, gt=0)
    distill_weight: float = Field(0.0, ge=0)  # weight of focal distillation (Yan et al. 2021) against cross-entropy
    seed_offset: int = 0  # added to the release's seed: a reseed of the same recipe has another offset

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"widths has {len(self.widths)} stages, blocks {len(self.blocks)}: give one depth a width")
        if self.pretrained and self.backbone is None:
            raise ValueError("pretrained needs a backbone: name a torchvision model")
        return self


class TrainingConfig(Section):
    """What all candidates share, and the recipes by candidate name."""

    size_px: int = Field(96, ge=16, le=1024)
    batch: int = Field(64, ge=2)
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    zoom: float = Field(0.7, gt=0.1, le=1)  # the closest random crop, as share of the side; 1 crops nothing
    turn_deg: float = Field(10.0, ge=0, le=180)  # the largest random turn
    mix_share: float = Field(0.3, ge=0, le=1)  # of batches whose images are blended by mixup or cutmix
    synthetic_share: float = Field(0.25, ge=0, lt=1)  # of each batch, where there are photos too
    patience_epochs: int = Field(15, ge=1)  # stop when the search split has not improved for so long
    precision: Literal["bf16", "float32"] = "bf16"
    flip_target: float = Field(0.03, gt=0, lt=1)  # a contained candidate's threshold is tuned to this rate on search
    reseed: bool = False  # also train the champion's recipe with another seed: the noise floor
    candidates: dict[str, Recipe] = Field(default_factory=lambda: {"plain": Recipe()}, min_length=1)

"""The `training` section of params.yaml: one recipe a candidate, and the family that is searched for more."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, model_validator

from components.core.params import Section
from components.models.networks.subnets import Space

Treatment = Literal["plain", "contained", "merged"]
Form = Literal["merged", "widened", "shared", "apart"]
Precision = Literal["auto", "bf16", "float32"]
Device = Literal["auto", "cpu", "cuda"]
_NAME = re.compile(r"\w[\w-]{0,63}")  # of a candidate: it names folders, files and runs
_TAKEN = re.compile(r"champion|family|family-\d+|reseed")  # what else lies beside the candidates
Choices = tuple[Annotated[int, Field(ge=1)], ...]


def is_free(name: str) -> bool:
    """Whether a candidate of a recipe or a target may be called so: a plain file name that nothing else has."""
    return _NAME.fullmatch(name) is not None and _TAKEN.fullmatch(name) is None


class Recipe(Section):
    """How one candidate is made.

    `contained` puts the champion inside, whose answers stand wherever the new part is not much surer; `merged` puts it
    inside too and weighs both answers. Distillation, the flip limit and interpolation are switches of their own that
    go with any of them. What needs a champion is skipped, and said to be, when there is none yet.
    """

    treatment: Treatment = "plain"
    use: Literal["both", "photos", "synthetic"] = "both"  # which images to train on
    backbone: str | None = None  # a torchvision model's name instead of our convnet
    pretrained: bool = False  # the backbone's published weights: needs a download
    widths: Choices = Field((32, 64, 128, 256), min_length=1)  # of each stage
    blocks: Choices = (1, 1, 1, 1)
    stem_stride: Literal[1, 2] = 2
    epochs: int = Field(40, ge=1, le=10_000)
    learning_rate: float = Field(0.004, gt=0)
    distill_weight: float = Field(0.0, ge=0)  # weight of a distance to the teacher's logits against cross-entropy
    distill_form: Literal["logits", "kl", "inhibition"] = "logits"  # focal (Yan et al. 2021), or ELODI's inhibition
    distill_beta: float = Field(5.0, ge=0)  # focal: an image that the teacher has right weighs 1 + this
    distill_temperature: float = Field(100.0, gt=0)  # kl: of both probabilities
    inhibition_margin: float = Field(0.5, ge=0)  # inhibition: logit differences up to this are free
    inhibition_power: float = Field(2.0, ge=1)
    inhibition_top_k: int | None = Field(None, ge=1)  # inhibition: only the teacher's highest logits; None: all
    teacher: Literal["champion", "ensemble"] = "champion"  # ensemble: reseeds of this very candidate, trained first
    ensemble_size: int = Field(2, ge=1, le=16)
    flip_limit: float | None = Field(None, gt=0, lt=1)  # of images that the champion has right: a Lagrangian keeps it
    dual_rate: float = Field(10.0, gt=0)  # step of the Lagrangian's dual variable after each epoch
    start: Literal["scratch", "champion"] = "scratch"  # champion: from its very function, if this convnet holds its
    interpolate: bool = False  # start from the champion's weights and end on the line to them (WiSE-FT)
    seed_offset: int = 0  # added to the release's seed: a reseed of the same recipe has another offset

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if len(self.widths) != len(self.blocks):
            raise ValueError(f"widths has {len(self.widths)} stages, blocks {len(self.blocks)}: give one depth a width")
        if self.pretrained and self.backbone is None:
            raise ValueError("pretrained needs a backbone: name a torchvision model")
        if self.teacher == "ensemble" and not self.distill_weight:
            raise ValueError("an ensemble teaches through distillation: set distill_weight above 0")
        if self.start == "champion" and (self.backbone is not None or self.interpolate):
            raise ValueError("start: champion goes with a convnet of ours, and without interpolate, which has a start")
        if self.interpolate and (self.treatment != "plain" or self.pretrained):
            raise ValueError(
                "interpolate starts from the champion's weights: it goes with treatment plain, unpretrained"
            )
        return self

    @property
    def is_tuned(self) -> bool:
        """Whether something is chosen on the search split, by what the champion has right there."""
        return self.treatment != "plain" or self.interpolate

    @property
    def needs_champion(self) -> bool:
        """Whether there is nothing to train before the first release."""
        taught = self.distill_weight > 0 and self.teacher == "champion"
        started = self.start == "champion"
        return self.treatment != "plain" or taught or self.flip_limit is not None or self.interpolate or started


class FamilyConfig(Section):
    """A nested family, trained at once and then searched on the search split for the candidates that it gives.

    `champion` says how its members hold the champion. `merged`: it runs beside each of them, whole, and both answers
    are weighed. `widened`: channels grow around it and its function is kept. `shared`: its weights are the first
    channels and blocks of every member, its function is not kept; these two need a convnet. `apart`: not at all, which
    is also what happens before the first release.
    """

    champion: Form = "merged"
    widths: tuple[Choices, ...] = ((16, 24, 32), (32, 48, 64), (64, 96, 128), (128, 192, 256))  # of each stage
    depths: tuple[Choices, ...] | None = None  # blocks of each stage; None: 1 or 2
    kernels: tuple[Choices, ...] | None = None  # sides of the stem's, then each stage's convolutions; None: 3
    stem_stride: Literal[1, 2] = 2
    width_factor: float = Field(2.0, gt=1, le=8)  # widened, shared: widths up to so many times the champion's
    extra_depth: int = Field(1, ge=0, le=4)  # widened, shared: up to so many blocks more in each stage
    sizes_px: Choices = ()  # image sides that members read, the largest being training.size_px; empty: that alone
    use: Literal["both", "photos", "synthetic"] = "both"  # which images to train on
    epochs: int = Field(40, ge=1, le=10_000)
    learning_rate: float = Field(0.004, gt=0)
    distill_weight: float = Field(0.0, ge=0)  # of the largest member, as in a recipe; unused without a champion
    distill_form: Literal["logits", "kl", "inhibition"] = "logits"
    flip_limit: float | None = Field(None, gt=0, lt=1)  # of the largest member, as in a recipe
    start: Literal["scratch", "champion"] = "scratch"  # merged, apart: the largest member's, as in a recipe
    num_random: int = Field(1, ge=0, le=8)  # members drawn in each step, beside the largest and the smallest
    method: Literal["evolution", "random", "accuracy"] = "evolution"
    evaluations: int = Field(100, ge=1, le=100_000)  # members evaluated on search, for each target
    candidates: int = Field(2, ge=1, le=10)  # family-1, family-2, ... where selection.targets names none

    @model_validator(mode="after")
    def _check(self) -> FamilyConfig:
        stages = len(self.widths)
        for name, given, wanted in (("depths", self.depths, stages), ("kernels", self.kernels, stages + 1)):
            if given is not None and len(given) != wanted:
                raise ValueError(f"{name} has {len(given)} entries, {stages} widths need {wanted}; give each its own")
        if self.start == "champion" and self.champion in ("widened", "shared"):
            raise ValueError(f"champion: {self.champion} starts from the champion's weights as it is; leave start out")
        return self

    def space(self, sizes_px: tuple[int, ...], *, num_classes: int) -> Space:
        """The members of a family that is not laid around a champion; ConfigError where they do not fit together."""
        stages = len(self.widths)
        return Space(
            num_classes=num_classes,
            widths=self.widths,
            depths=self.depths or ((1, 2),) * stages,
            kernels=self.kernels or ((3,),) * (stages + 1),
            sizes_px=sizes_px,
            stem_stride=self.stem_stride,
        )

    @property
    def learns_from_champion(self) -> bool:
        """Whether the champion's answers enter the loss."""
        return self.distill_weight > 0 or self.flip_limit is not None


class TrainingConfig(Section):
    """What all candidates share, the recipes by candidate name, and the family if there is one."""

    size_px: int = Field(96, ge=16, le=1024)
    batch: int = Field(64, ge=2)
    weight_decay: float = Field(0.05, ge=0)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    zoom: float = Field(0.7, gt=0.1, le=1)  # the closest random crop, as share of the side; 1 crops nothing
    turn_deg: float = Field(10.0, ge=0, le=180)  # the largest random turn
    mix_share: float = Field(0.3, ge=0, le=1)  # of batches whose images are blended by mixup or cutmix
    synthetic_share: float = Field(0.25, ge=0, lt=1)  # of each batch, where there are photos too
    patience_epochs: int = Field(15, ge=1)  # stop when the search split has not improved for so long
    precision: Precision = "auto"  # bf16 where the device multiplies in it, else float32
    device: Device = "cpu"  # auto: the first CUDA device where there is one
    side_by_side: bool = True  # recipes that take long are trained at once, a process and its share of cores each
    flip_target: float = Field(0.03, gt=0, lt=1)  # what is tuned on search keeps its flip rate there within this
    reseed: bool = True  # also train the champion's recipe with another seed: its flips are the noise floor of reports
    candidates: dict[str, Recipe] = Field(default_factory=lambda: {"plain": Recipe()})  # {}: the family's alone
    family: FamilyConfig | None = None

    @model_validator(mode="after")
    def _check(self) -> TrainingConfig:
        if not self.candidates and self.family is None:
            raise ValueError("candidates is empty and there is no family: give one recipe, or a family")
        strange = sorted(name for name in self.candidates if not is_free(name))
        if strange:
            raise ValueError(
                f"candidates cannot be called {strange}: give names of letters, digits, _ and -, at most 64, other "
                "than champion, family, family-1 (and so on) and reseed, which lie beside them"
            )
        if self.family is not None and self.family.sizes_px and max(self.family.sizes_px) != self.size_px:
            raise ValueError(
                f"the family's largest side is {max(self.family.sizes_px)} px, size_px is {self.size_px}: images are "
                "decoded at size_px, so make them equal"
            )
        if self.family is not None and self.family.champion in ("merged", "apart"):
            self.family.space(self.family_sizes_px, num_classes=1)
        return self

    @property
    def family_sizes_px(self) -> tuple[int, ...]:
        """The image sides that the family's members read, ascending."""
        return tuple(sorted(self.family.sizes_px if self.family is not None else ())) or (self.size_px,)

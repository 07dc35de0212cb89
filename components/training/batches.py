"""Batches for training: photos and synthetic images mixed at a stated share, augmented as tensors.

Every epoch is a pure function of (seed, epoch), so that a resumed run sees what an unbroken one would have.
The geometric part is one sampled affine map an image, applied to the whole batch at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F
from torchvision.transforms import v2

from components.core.errors import DataError

MIX_ALPHA = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPixels:
    """Images uint8 [N, S, S, 3] (often a memory map) and their class indices int64 [N]."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def where(self, mask: NDArray[np.bool_]) -> LabelledPixels:
        """The images that `mask` [N] keeps, copied into memory."""
        return LabelledPixels(pixels=self.pixels[mask], labels=self.labels[mask])


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentationRanges:
    """How far images are changed: the closest crop as share of the side, the largest turn in degrees, and the
    share of batches that are blended."""

    zoom: float
    turn_deg: float
    mix_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Real and synthetic images; either may be empty, not both."""

    photos: LabelledPixels
    synthetic: LabelledPixels
    synthetic_share: float

    def only(self, use: Literal["both", "photos", "synthetic"]) -> TrainingData:
        """The part of the data that a recipe wants; DataError when that part is empty."""
        nothing = np.zeros(len(self.photos), bool), np.zeros(len(self.synthetic), bool)
        data = self
        if use == "photos":
            data = replace(self, synthetic=self.synthetic.where(nothing[1]))
        if use == "synthetic":
            data = replace(self, photos=self.photos.where(nothing[0]))
        if not len(data.photos) and not len(data.synthetic):
            raise DataError(f"a recipe wants only {use} images, and there are none; change its 'use'")
        return data

    def epoch_batches(self, *, batch: int, seed: int, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (uint8 [B, 3, S, S], int64 [B]): each photo once, synthetic images filling their share."""
        rng = np.random.default_rng([seed, epoch])
        main, extra = self._main_and_extra()
        step, num_extra = self._step(batch)
        order = rng.permutation(len(main))
        for index in range(self.num_batches(batch)):
            chosen = np.sort(order[index * step : (index + 1) * step])
            images, labels = [main.pixels[chosen]], [main.labels[chosen]]
            if num_extra:
                drawn = np.sort(rng.integers(0, len(extra), num_extra))
                images.append(extra.pixels[drawn])
                labels.append(extra.labels[drawn])
            pixels = torch.from_numpy(np.concatenate(images)).permute(0, 3, 1, 2)
            yield pixels, torch.from_numpy(np.concatenate(labels))

    def num_batches(self, batch: int) -> int:
        """Batches an epoch; an incomplete last one is dropped, since another epoch's order will bring it."""
        main, _ = self._main_and_extra()
        return max(1, len(main) // self._step(batch)[0])

    def _main_and_extra(self) -> tuple[LabelledPixels, LabelledPixels]:
        return (self.photos, self.synthetic) if len(self.photos) else (self.synthetic, self.photos)

    def _step(self, batch: int) -> tuple[int, int]:
        num_extra = round(batch * self.synthetic_share) if len(self._main_and_extra()[1]) else 0
        return batch - num_extra, num_extra


class Augmentation:
    """Random crops, turns, flips, light and erasing, drawn per image; then mixup or cutmix for the batch.

    What is drawn comes from a generator of the CPU, the same for images on any `device`.
    """

    def __init__(
        self,
        ranges: AugmentationRanges,
        *,
        num_classes: int,
        generator: torch.Generator,
        device: torch.device = torch.device("cpu"),  # noqa: B008 - a value
    ) -> None:
        self._ranges = ranges
        self._device = device
        self._num_classes = num_classes
        self._generator = generator
        self._mix = v2.RandomChoice(
            [v2.MixUp(alpha=MIX_ALPHA, num_classes=num_classes), v2.CutMix(alpha=1.0, num_classes=num_classes)]
        )

    def geometry_and_light(self, pixels: Tensor) -> Tensor:
        """Map uint8 [B, 3, S, S] to float [B, 3, S, S] on 0..255, each image changed its own way."""
        images = self._light(self._affine(pixels.float()))
        return self._erase(images)

    def mix(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Blend pairs of images in some batches; labels become class probabilities [B, num_classes]."""
        if self._uniform(0, 1).item() >= self._ranges.mix_share:
            return images, F.one_hot(labels, self._num_classes).float()
        mixed: tuple[Tensor, Tensor] = self._mix(images, labels)
        return mixed

    def _uniform(self, low: float, high: float, *shape: int) -> Tensor:
        return torch.empty(shape).uniform_(low, high, generator=self._generator).to(self._device)

    def _affine(self, images: Tensor) -> Tensor:
        num = len(images)
        scale = self._uniform(math.log(self._ranges.zoom), math.log(1.1), num).exp()  # below 1 zooms in
        aspect = self._uniform(-0.15, 0.15, num).exp()
        angle = self._uniform(-1, 1, num) * math.radians(self._ranges.turn_deg)
        flip = torch.where(self._uniform(0, 1, num) < 0.5, -1.0, 1.0)
        room = (1 - scale).clamp(min=0.08)
        shift = self._uniform(-1, 1, num, 2) * room[:, None]
        cos, sin = angle.cos() * scale, angle.sin() * scale
        rows = [
            torch.stack([cos * aspect * flip, -sin, shift[:, 0]], dim=1),
            torch.stack([sin * flip, cos / aspect, shift[:, 1]], dim=1),
        ]
        grid = F.affine_grid(torch.stack(rows, dim=1), list(images.shape), align_corners=False)
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    def _light(self, images: Tensor) -> Tensor:
        num = len(images)
        gain = self._uniform(0.7, 1.3, num, 1, 1, 1)
        cast = self._uniform(0.93, 1.07, num, 3, 1, 1)
        saturation = self._uniform(0.7, 1.3, num, 1, 1, 1)
        contrast = self._uniform(0.75, 1.25, num, 1, 1, 1)
        grey = images.mean(dim=1, keepdim=True)
        images = (grey + (images - grey) * saturation) * gain * cast
        level = images.mean(dim=(1, 2, 3), keepdim=True)
        return (level + (images - level) * contrast).clamp(0, 255)

    def _erase(self, images: Tensor) -> Tensor:
        num, _, side, _ = images.shape
        edge = self._uniform(0.1, 0.4, num, 2) * side * (self._uniform(0, 1, num, 1) < 0.35)
        centre = self._uniform(0, side, num, 2)
        line = torch.arange(side, device=self._device)
        rows = (line[None] - centre[:, :1]).abs() * 2 < edge[:, :1]
        columns = (line[None] - centre[:, 1:]).abs() * 2 < edge[:, 1:]
        hole = (rows[:, None, :, None] & columns[:, None, None, :]).float()
        return images * (1 - hole) + 127.0 * hole

"""Fits a network to other classes or another input, so that an incumbent can be the inner part of a new model.

Where nothing differs nothing is computed, and its logits stay bit-identical. A change of classes only moves logits;
a change of normalisation, size or channel order alters its input, and the answers with it by a rounding or more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from components.models.networks.calibration import resized

FLOOR_GAP = 10.0  # a class that the incumbent lacks stands so far below its least likely one
_TINY = 1e-12

Output = Literal["logits", "probabilities"]


class Adapted(nn.Module):
    """A network behind a change of input and before a change of classes.

    `index` gives, for each new class, its position in the inner network, -1 where that has none. `given` and
    `wanted` describe the input (`size_px`, `mean`, `std` per RGB channel on 0..1) as it comes and as the inner
    network reads it. `bgr` turns the channels round, `output` says what the inner network puts out.
    """

    index: Tensor | None
    scale: Tensor
    shift: Tensor

    def __init__(
        self,
        inner: nn.Module,
        *,
        index: list[int] | None = None,
        given: Mapping[str, Any] | None = None,
        wanted: Mapping[str, Any] | None = None,
        bgr: bool = False,
        output: Output = "logits",
    ) -> None:
        super().__init__()
        if output not in ("logits", "probabilities"):
            raise ValueError(f"output is {output!r}, allowed: logits, probabilities")
        self.inner = inner
        self.register_buffer("index", None if index is None else torch.tensor(index), persistent=False)
        self._size_px = int(wanted["size_px"]) if wanted is not None else None
        self._renormalises = (
            given is not None and wanted is not None and _normalisation(given) != _normalisation(wanted)
        )
        scale, shift = _change(given, wanted) if given is not None and wanted is not None else (1.0, 0.0)
        self.register_buffer("scale", torch.as_tensor(scale), persistent=False)
        self.register_buffer("shift", torch.as_tensor(shift), persistent=False)
        self._bgr = bgr
        self._output = output

    @property
    def reads_as_given(self) -> bool:
        """Whether the inner network gets the input untouched and puts out logits."""
        return not self._renormalises and self._size_px is None and not self._bgr and self._output == "logits"

    @property
    def known(self) -> Tensor | None:
        """Which of the new classes the inner network knows, bool [C]; None when it knows them all in order."""
        return None if self.index is None else self.index >= 0

    def forward(self, x: Tensor) -> Tensor:
        """Logits [N, num_classes] over the new classes, of images [N, 3, S, S]."""
        if self._renormalises:
            x = x * self.scale + self.shift
        if self._size_px is not None:
            x = resized(x, self._size_px)
        if self._bgr:
            x = x.flip(1)
        logits: Tensor = self.inner(x)
        if self._output == "probabilities":
            logits = logits.clamp_min(_TINY).log()
        return self.relabelled(logits)

    def relabelled(self, logits: Tensor) -> Tensor:
        """The inner network's logits in the order of the new classes; the ones it lacks lie under all others."""
        if self.index is None:
            return logits
        floor = logits.amin(dim=1, keepdim=True) - FLOOR_GAP
        return torch.where(self.index >= 0, logits[:, self.index.clamp_min(0)], floor)


def _normalisation(image: Mapping[str, Any]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    return tuple(image["mean"]), tuple(image["std"])


def _change(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """Factor and summand [3, 1, 1] that turn one normalisation into the other."""
    mean, std = (torch.tensor(given[name], dtype=torch.float64) for name in ("mean", "std"))
    new_mean, new_std = (torch.tensor(wanted[name], dtype=torch.float64) for name in ("mean", "std"))
    scale, shift = std / new_std, (mean - new_mean) / new_std
    return scale.float().view(3, 1, 1), shift.float().view(3, 1, 1)

"""Interpolates between an old network's weights and those of a new one that was fine-tuned from them.

Wortsman et al. 2022 (WiSE-FT): along the line from weights before fine-tuning to weights after, accuracy often stays
while behaviour moves from old to new. It needs one architecture and a common start, so such a candidate begins at the
champion's weights. Batch-norm statistics do not average, so they are measured again for each coefficient (Izmailov et
al. 2018).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from components.core.errors import ConfigError
from components.core.progress import track
from components.models.artefacts import ModelSpec
from components.models.networks.calibration import calibrate
from components.models.prediction import normalise, predict_logits
from components.training.batches import LabelledPixels
from components.training.switching import most_accurate

COEFFICIENTS = tuple(round(0.1 * step, 1) for step in range(11))
NUM_FOR_NORMS = 1024


def interpolate(old: Mapping[str, Tensor], new: Mapping[str, Tensor], coefficient: float) -> dict[str, Tensor]:
    """The weights at `coefficient` of the way from `old` to `new`; whole numbers are those of `new`.

    ConfigError when names or shapes differ: such weights lie on no line.
    """
    shapes = [{name: tuple(tensor.shape) for name, tensor in state.items()} for state in (old, new)]
    if shapes[0] != shapes[1]:
        differing = sorted(name for name in {*old, *new} if shapes[0].get(name) != shapes[1].get(name))
        raise ConfigError(
            f"weights of different architectures cannot be interpolated: {differing[:3]} differ; give the candidate "
            "the champion's widths and blocks, or another treatment"
        )
    if coefficient in (0.0, 1.0):
        return {name: tensor.clone() for name, tensor in (new if coefficient else old).items()}
    return {
        name: torch.lerp(old[name], tensor, coefficient) if tensor.is_floating_point() else tensor.clone()
        for name, tensor in new.items()
    }


def tune_coefficient(
    network: nn.Module,
    old: Mapping[str, Tensor],
    spec: ModelSpec,
    *,
    search: LabelledPixels,
    was_right: NDArray[np.bool_],
    calibration: NDArray[np.uint8],
    flip_target: float,
) -> float:
    """Leave in `network` the most accurate weights on the line whose flip rate on `search` is within the target.

    `was_right` says which images [N] of `search` the old model has right; `calibration` are uint8 training images
    [M, S, S, 3] for the norms. The coefficient is returned; ties go to 0, the old weights, which flip nothing at the
    side that they read. Where all flip more than the target, the fewest do.
    """
    new = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    chosen = np.unique(np.linspace(0, len(calibration) - 1, min(NUM_FOR_NORMS, len(calibration))).astype(int))
    images = normalise(torch.from_numpy(np.array(calibration[chosen])), spec)

    def move_to(coefficient: float) -> None:
        network.load_state_dict(interpolate(old, new, coefficient))
        if 0 < coefficient < 1:
            calibrate(network, images)

    right = []
    for coefficient in track(COEFFICIENTS, "interpolating weights"):
        move_to(coefficient)
        right.append(predict_logits(network, spec, search.pixels).argmax(axis=1) == search.labels)
    best = COEFFICIENTS[most_accurate(np.stack(right), was_right, flip_target=flip_target)]
    move_to(best)
    return best

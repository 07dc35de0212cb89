"""Checkpoints of a fit in safetensors, written atomically after each epoch; no pickle."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from components.core.errors import DataError
from components.core.files import write_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """Where a fit stands after `epoch` finished epochs."""

    epoch: int = 0
    best_epoch: int = 0
    best_score: float = float("-inf")
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    history: tuple[float, ...] = ()
    loss_state: dict[str, Tensor] = field(default_factory=dict)

    def after_epoch(self, score: float, network: nn.Module) -> Checkpoint:
        """The state one epoch later; ties go to the later epoch, which has seen more."""
        now = replace(self, epoch=self.epoch + 1, history=(*self.history, score))
        if score < self.best_score:
            return now
        weights = {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}
        return replace(now, best_epoch=now.epoch, best_score=score, best_weights=weights)


def save_checkpoint(
    path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer, state: Checkpoint
) -> None:
    """Write everything that the next epoch depends on."""
    tensors: dict[str, Tensor] = {}
    for prefix, values in (
        ("network", network.state_dict()),
        ("average", average.state_dict()),
        ("best", state.best_weights),
        ("loss", state.loss_state),
    ):
        tensors |= {f"{prefix}/{name}": tensor.contiguous().clone() for name, tensor in values.items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{name}": tensor.contiguous().clone() for name, tensor in slots.items()}
    position = {
        "epoch": state.epoch,
        "best_epoch": state.best_epoch,
        "best_score": state.best_score,
        "history": list(state.history),
    }
    write_bytes(path, save(tensors, {"position": json.dumps(position)}))


def load_checkpoint(path: Path, network: nn.Module, average: nn.Module, optimizer: torch.optim.Optimizer) -> Checkpoint:
    """Put a checkpoint's state back, or return a fresh one when there is none."""
    if not path.is_file():
        return Checkpoint()
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            position = json.loads(file.metadata()["position"])
    except (SafetensorError, KeyError, ValueError) as error:
        raise DataError(f"checkpoint {path} is damaged ({error}); delete it to train from the start") from error
    network.load_state_dict(_below(tensors, "network"))
    average.load_state_dict(_below(tensors, "average"))
    slots: dict[int, dict[str, Any]] = {}
    for name, tensor in _below(tensors, "optimizer").items():
        index, slot = name.split("/")
        slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    position["history"] = tuple(position["history"])
    return Checkpoint(best_weights=_below(tensors, "best"), loss_state=_below(tensors, "loss"), **position)


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}

"""Trains one candidate of a release: a child of `training.side_by_side`, told what to do by a line of JSON.

The rest of standard input is its lifeline: it ends when that closes, so that it never outlives whoever started it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

import torch

from components.core import progress
from components.core.params import parse_section
from components.training.config import TrainingConfig
from components.training.side_by_side import EPOCH
from components.training.training import TrainingInputs, train_one


def main() -> int:
    """Do what the first line says; 0 when the candidate is there."""
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_owner, daemon=True).start()
    torch.set_num_threads(order["threads"])
    progress.listen("training", lambda: print(EPOCH, flush=True))  # noqa: T201 - this is how the owner is told
    config = parse_section(TrainingConfig, order["config"], where="training")
    train_one(_inputs(order["inputs"]), config, name=order["name"], out=Path(order["out"]), seed=order["seed"])
    return 0


def _inputs(told: dict[str, Any]) -> TrainingInputs:
    folders = ("train", "search", "synthetic", "champion", "cache", "scratch")
    paths = {name: Path(told[name]) if told[name] is not None else None for name in folders}
    return TrainingInputs(**{**told, **paths, "classes": tuple(told["classes"])})


def _leave_with_owner() -> None:
    while sys.stdin.readline():
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())

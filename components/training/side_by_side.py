"""Trains several candidates at once, a process and an equal share of the cores each.

A small network keeps few cores busy, so two that are trained one after the other take nearly twice as long as side by
side. How many share the cores follows from the recipes alone, not from what a killed run has left to do: a candidate's
bits depend on how many threads compute it, and a run that goes on must end like an unbroken one.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from components.core.progress import track
from components.training.config import Recipe, TrainingConfig

log = logging.getLogger(__name__)
LARGE = 20_000  # images seen in all epochs; below it a process of its own takes longer to start than it saves
EPOCH = "epoch"  # what a child writes on standard output after each


def num_at_once(recipes: Mapping[str, Recipe], config: TrainingConfig, *, num_images: int) -> int:
    """How many processes train these candidates; 1: none but this one."""
    if not config.side_by_side or config.device != "cpu":
        return 1
    return max(1, min(len(large_ones(recipes, num_images=num_images)), len(os.sched_getaffinity(0))))


def large_ones(recipes: Mapping[str, Recipe], *, num_images: int) -> list[str]:
    """The candidates that are worth a process of their own."""
    return [name for name, recipe in recipes.items() if recipe.epochs * num_images >= LARGE]


def train_apart(
    names: Sequence[str], epochs: Mapping[str, int], order: Mapping[str, Any], *, num_processes: int
) -> None:
    """Train these candidates, at most `num_processes` at a time, each as `python -m components.training` is told.

    `order` is what such a process needs beside the name. One that fails leaves nothing behind and is told of in the
    log; the caller tries it in its own process, where the error has its own type.
    """
    threads = max(1, len(os.sched_getaffinity(0)) // num_processes)
    done = threading.Semaphore(0)
    left, lock = list(names), threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not left:
                    return
                name = left.pop(0)
            seen = 0
            try:
                for line in _run(name, {**order, "name": name, "threads": threads}):
                    if line.strip() == EPOCH and seen < epochs[name]:
                        seen += 1
                        done.release()
            finally:
                for _ in range(epochs[name] - seen):
                    done.release()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(num_processes)]
    for worker in workers:
        worker.start()
    for _ in track(range(sum(epochs[name] for name in names)), f"training {len(names)} candidates"):
        done.acquire()
    for worker in workers:
        worker.join()


def _run(name: str, order: Mapping[str, Any]) -> Any:
    """Lines of a child's standard output as they come; it ends with this process, whose end of its input closes."""
    log.info("training '%s' in a process of its own, %d threads", name, order["threads"])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-m", "components.training"]
    pipe = subprocess.PIPE
    errors: list[str] = []
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as child:
        assert child.stdin is not None and child.stdout is not None and child.stderr is not None
        reader = threading.Thread(target=lambda told: errors.append(told.read()), args=(child.stderr,), daemon=True)
        reader.start()
        try:
            child.stdin.write(json.dumps(order) + "\n")
            child.stdin.flush()
            yield from child.stdout
            code = child.wait()
        finally:
            child.kill()
            reader.join()
    if code:
        log.warning("the process that trained '%s' ended with code %d, trying here: %s", name, code, _last(errors))


def _last(errors: Sequence[str]) -> str:
    return " ".join("".join(errors).strip().splitlines()[-1:])


def as_order(inputs: Any, config: TrainingConfig, *, out: Path, seed: int) -> dict[str, Any]:
    """What a child needs, as JSON: inputs (paths as text), config, folder and seed."""
    told = {key: str(value) if isinstance(value, Path) else value for key, value in asdict(inputs).items()}
    return {"inputs": told, "config": config.model_dump(mode="json"), "out": str(out), "seed": seed}

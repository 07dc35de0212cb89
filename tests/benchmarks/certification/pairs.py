"""Real predictions: pairs of small networks trained on CIFAR-10, their verdicts resampled into certify and truth."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import special

from components.core.progress import track
from components.selection.gate.bounds import most_flips
from components.selection.gate.policy import SpendingPolicy
from tests.benchmarks.certification import histories

NUM_PAIRS, NUM_TRAIN, SIDE_PX = 20, 8000, 16
DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "cifar10"


def verdict_pairs(*, seed: int) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Right or wrong on the 10,000 dev images, old and new, for 20 pairs of networks."""
    train, dev = _features("train", NUM_TRAIN), _features("dev", None)
    rights = []
    for index in track(range(NUM_PAIRS + 1), "training networks"):
        rights.append(_right(train, dev, width=48 if index % 2 else 192, seed=seed * 1000 + index))
    return list(itertools.pairwise(rights))


def violations(
    pairs: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]], *, resamples: int, seed: int
) -> dict[str, float]:
    """How often each gate passes a pair whose rate in the truth part is over the limit.

    Half of the samples certify, half are the truth. Limits lie at, and up to a tenth under, a pair's own rate, where
    a wrong promotion is easiest; one look each.
    """
    rng = np.random.default_rng([seed, 29])
    flips = np.stack([old & ~new for old, new in pairs])
    total = flips.shape[1]
    half = total // 2
    wrong = {"detent": 0, "point": 0}
    chances = 0
    for _ in range(resamples):
        chosen = rng.permutation(total)[:half]
        certify = flips[:, chosen].sum(axis=1)
        truth = (flips.sum(axis=1) - certify) / (total - half)
        for index, rate in enumerate(flips.mean(axis=1)):
            for share in (0.9, 0.95, 1.0):
                limit = rate * share
                if truth[index] > limit:
                    chances += 1
                    wrong["point"] += int(certify[index] / half <= limit)
                    wrong["detent"] += int(special.bdtr(certify[index], half, limit) <= 0.05)
    return {gate: count / chances for gate, count in wrong.items()} | {"chances": float(chances)}


def searched(
    pairs: list[tuple[NDArray[np.bool_], NDArray[np.bool_]]], *, resamples: int, seed: int
) -> dict[str, float]:
    """The limit lies 2% under the lowest of the 20 rates; the share of searches in which any pair passes."""
    rng = np.random.default_rng([seed, 31])
    flips = np.stack([old & ~new for old, new in pairs])
    total, half = flips.shape[1], flips.shape[1] // 2
    limit = float(flips.mean(axis=1).min() * 0.98)
    passed = {"detent": 0, "point": 0, "uncorrected": 0}
    plan = SpendingPolicy(planned_looks=len(pairs))
    most = np.array([most_flips(half, limit, histories.level(look, plan=plan)) for look in range(1, len(pairs) + 1)])
    for _ in range(resamples):
        certify = flips[:, rng.integers(0, total, half)].sum(axis=1)
        passed["point"] += bool((certify / half <= limit).any())
        passed["uncorrected"] += bool((special.bdtr(certify, half, limit) <= 0.05).any())
        passed["detent"] += bool((certify <= most).any())
    return {gate: count / resamples for gate, count in passed.items()}


def _features(name: str, count: int | None) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from PIL import Image

    table = pq.read_table(DATA / f"{name}.parquet", columns=["image", "label"])
    table = table.slice(0, count) if count is not None else table
    images = [
        np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((SIDE_PX, SIDE_PX)), np.float32)
        for data in table["image"].to_pylist()
    ]
    return np.stack(images).reshape(len(images), -1) / 127.5 - 1.0, table["label"].to_numpy()


def _right(
    train: tuple[NDArray[np.float32], NDArray[np.int64]],
    dev: tuple[NDArray[np.float32], NDArray[np.int64]],
    *,
    width: int,
    seed: int,
) -> NDArray[np.bool_]:
    import torch
    from torch import nn

    torch.set_num_threads(1)  # layers this small only lose time to a second thread
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(train[0].shape[1], width), nn.ReLU(), nn.Linear(width, 10))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
    features, labels = torch.from_numpy(train[0]), torch.from_numpy(train[1].astype(np.int64))
    for _ in range(6):
        for batch in torch.randperm(len(labels)).split(128):
            loss = nn.functional.cross_entropy(model(features[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    with torch.inference_mode():
        return np.asarray(model(torch.from_numpy(dev[0])).argmax(dim=1).numpy() == dev[1])

"""How fast the machine is while it measures: a library's JPEG encoder on every core at once."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from statistics import mean

import numpy as np

from components.synthesis.backgrounds import BACKGROUNDS
from components.synthesis.config import SynthesisConfig
from components.synthesis.stock import Stock
from tests.benchmarks.figures import Figure
from tests.benchmarks.imaging.lab import backgrounds
from tests.benchmarks.workers import settle

REFERENCE = 8_900.0  # a second and core, on the machine for which the goals were set
_NUM_PICTURES, _ROUNDS, _SIDE_PX = 64, 40, 128


def encoder_figure() -> Figure:
    """Pictures of 128 px that torchvision's encoder writes a second and core, all cores busy."""
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=settle) as pool:
        list(pool.map(_encoded_per_s, [1] * workers))  # imports and first touches are not timed
        per_s = mean(pool.map(_encoded_per_s, [_ROUNDS] * workers))
    return Figure(
        name="torchvision's encode_jpeg alone at 128 px, images a second and core",
        value=per_s,
        spread=f"{per_s / REFERENCE:.2f} of the {REFERENCE:,.0f} of the machine for which the goals were set",
    )


def _encoded_per_s(rounds: int) -> float:
    import torch
    from torchvision.io import encode_jpeg

    stock = Stock(catalog=None, backgrounds=backgrounds(), terms=SynthesisConfig(size_px=_SIDE_PX).terms(0))
    photos = stock.read(BACKGROUNDS).items[:_NUM_PICTURES]
    crops = [np.ascontiguousarray(photo.pixels[:_SIDE_PX, :_SIDE_PX].transpose(2, 0, 1)) for photo in photos]
    pictures = [torch.from_numpy(crop) for crop in crops]
    started = time.perf_counter()
    for _ in range(rounds):
        for picture in pictures:
            encode_jpeg(picture, 75)
    return rounds * len(pictures) / (time.perf_counter() - started)

"""How large the benchmark is: REGNAS_IMAGES, _EPOCHS, _SEEDS, _SEARCH, _FINAL and others here."""

from __future__ import annotations

import os
from pathlib import Path

from tests.benchmarks.figures import SHORT

HOME = Path(os.environ.get("DETENT_HOME", ".detent")) / "bench" / "regnas"


def _knob(name: str, usual: int, short: int) -> int:
    return int(os.environ.get(f"REGNAS_{name}", short if SHORT else usual))


NUM_IMAGES, NUM_EPOCHS = _knob("IMAGES", 20_000, 3_000), _knob("EPOCHS", 15, 2)
GROCERY_PX = _knob("GROCERY_PX", 64, 32)
NUM_RESNET_EPOCHS = _knob("RESNET_EPOCHS", 60, 2)
NUM_SEEDS, NUM_FINALIST_SEEDS = _knob("SEEDS", 3, 1), _knob("FINALIST_SEEDS", 5, 1)
NUM_SEARCH, NUM_FINAL = _knob("SEARCH", 10_000, 2_000), _knob("FINAL", 10_000, 4_000)
NUM_EVALUATIONS, NUM_ALONE, NUM_SEARCH_SEEDS = (20, 2, 1) if SHORT else (60, 8, 5)
POPULATION = 12
MAX_LOSS, LESS_THAN_UNTREATED, LESS_THAN_FOCAL = 0.005, 0.5, 0.33
RESEED_OFFSET = 1_000
TELLS = not SHORT and NUM_SEEDS >= 3

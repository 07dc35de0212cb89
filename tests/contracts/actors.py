"""What differs between workloads in the story that every one of them is told: its sources, settings and questions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

NUM_PEOPLE, PHOTOS_EACH = 200, 3


def draw_people(folder: Path, *, seed: int = 0) -> dict[str, str]:
    """Blurred patterns, one a person, in changing light and never held quite still; a sub-folder a person."""
    rng = np.random.default_rng(seed)
    for person in range(NUM_PEOPLE):
        (folder / "photos" / f"person-{person:03}").mkdir(parents=True)
        face = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((40, 40), Image.Resampling.BICUBIC)
        for number in range(PHOTOS_EACH):
            left, top = (int(value) for value in rng.integers(0, 6, 2))
            seen = np.asarray(face.crop((left, top, left + 32, top + 32)), np.float64)
            lit = 128 + rng.uniform(0.5, 1.0) * (seen - 128) + rng.normal(0, 12, 3) + rng.normal(0, 12, seen.shape)
            image = Image.fromarray(lit.clip(0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))
            image.save(folder / "photos" / f"person-{person:03}" / f"{number}.png")
    return {"photos": str(folder / "photos")}

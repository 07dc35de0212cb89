"""Makes the part of the page that shows scenes: how close splits are to train, with photos side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from components.core import manifest
from components.datasets.decoding import decode
from components.validation.exposure import NUM_PAIRS, Exposure, worth
from components.validation.facts import Facts

_PICTURE_PX = 150


def scene_section(photos: Sequence[Facts], exposure: Exposure, folder: Path) -> dict[str, Any]:
    """What `scenes.html.j2` shows, for photos of the manifest at `folder`."""
    likeness = exposure.likeness
    half = NUM_PAIRS // 2
    chosen = [(seen.split, pair) for seen in reversed(exposure.seen) for pair in seen.pairs[:half]]
    pictures = _pictures(folder, [photos[i] for _, pair in chosen for i in pair[:2]])
    return {
        "worth": worth(exposure),
        "is_bad": any(seen.share > seen.limit for seen in exposure.seen),
        "num_scenes": len(set(exposure.scene)),
        "num_photos": len(photos),
        "likeness": likeness,
        "seen": exposure.seen,
        "pairs": [
            {
                "split": split,
                "cosine": pair[2],
                "left": pictures[photos[pair[0]].index],
                "right": pictures[photos[pair[1]].index],
            }
            for split, pair in chosen
        ],
    }


def _pictures(folder: Path, facts: Sequence[Facts]) -> dict[int, dict[str, str]]:
    by_index = {fact.index: fact for fact in facts}
    if not by_index:
        return {}
    rows = manifest.dataset(folder).take(list(by_index), columns=["image"]).to_pylist()
    return {
        index: {"name": fact.name, "data": _small(row["image"]["bytes"], fact.name)}
        for (index, fact), row in zip(by_index.items(), rows, strict=True)
    }


def _small(data: bytes, name: str) -> str:
    from PIL import Image

    image = Image.fromarray(decode(data, name=name))
    scale = _PICTURE_PX / min(image.size)
    shrunk = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
    left, top = (shrunk.width - _PICTURE_PX) // 2, (shrunk.height - _PICTURE_PX) // 2
    buffer = io.BytesIO()
    shrunk.crop((left, top, left + _PICTURE_PX, top + _PICTURE_PX)).save(buffer, "JPEG", quality=80)
    return base64.b64encode(buffer.getvalue()).decode()

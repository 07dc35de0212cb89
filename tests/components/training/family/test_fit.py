"""A family that is finished is kept for the code that trained it, and trained anew for any other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from components.core.digests import sample_id
from components.core.files import read_json
from components.core.manifest import ManifestWriter
from components.training.config import TrainingConfig
from components.training.family import fit
from components.training.training import TrainingInputs


def write(folder: Path, num: int, *, seed: int) -> None:
    import io

    from PIL import Image

    rng = np.random.default_rng(seed)
    with ManifestWriter(folder) as writer:
        for index in range(num):
            pixels = rng.integers(0, 120, (16, 16, 3))
            pixels[..., index % 2] += 90
            file = io.BytesIO()
            Image.fromarray(pixels.astype(np.uint8)).save(file, format="PNG")
            data = file.getvalue()
            writer.write(
                {"sample_id": sample_id(data), "image": {"bytes": data, "path": None}, "label": "ab"[index % 2]}
            )


def test_a_family_of_other_code_is_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed, (name, num) in enumerate((("train", 16), ("search", 8), ("synthetic", 0))):
        write(tmp_path / name, num, seed=seed)
    torch.set_num_threads(1)
    fitted: list[str] = []
    real = fit.fit_family

    def counted(*args: Any, **options: Any) -> Any:
        fitted.append(options["checkpoint"].name)
        return real(*args, **options)

    monkeypatch.setattr(fit, "fit_family", counted)
    family = {"epochs": 1, "widths": [[4], [8]], "depths": [[1], [1]]}
    config = TrainingConfig.model_validate({"size_px": 16, "batch": 8, "candidates": {}, "family": family})

    def made_from(code: str) -> str:
        inputs = TrainingInputs(
            train=tmp_path / "train",
            search=tmp_path / "search",
            synthetic=tmp_path / "synthetic",
            classes=("a", "b"),
            champion=None,
            code=code,
            cache=tmp_path / "cache",
            scratch=tmp_path / "scratch",
        )
        made = fit.train_family(inputs, config, out=tmp_path / "out", seed=0)
        assert not isinstance(made, str)
        assert made.made_from == read_json(tmp_path / "out" / "family" / "family.json")["made_from"]
        return made.made_from

    assert made_from("one") == made_from("one") and len(fitted) == 1
    assert made_from("two") != made_from("one") and len(fitted) == 3 and len(set(fitted)) == 2

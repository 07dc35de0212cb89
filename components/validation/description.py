"""Looks at the photos once more, small, to describe them by the features that params.yaml chooses.

The champion's features are its logits. They are known by its folder alone, which is no input of the stage: they serve
for what the page warns of, and a new champion does not make validation run again. torch is imported only for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from components.core import manifest
from components.core.errors import ConfigError
from components.core.progress import track
from components.datasets.decoding import Pixels, decode_fit
from components.datasets.features import DEFAULT, FEATURES, Features, Floats, comparable
from components.validation.config import ScenesConfig
from components.validation.facts import Facts

_BATCH_ROWS = 256


@dataclass(frozen=True, kw_only=True)
class ChampionFeatures:
    """The logits of the model in `folder`; what it was trained on lies close together by class, so little is chance."""

    folder: Path
    name: str = "champion"
    chance: float = 0.02
    is_whitened: bool = True

    @cached_property
    def _model(self) -> object:
        from components.models.artefacts import load_model

        return load_model(self.folder)

    @property
    def size_px(self) -> int:
        """The side that the model reads."""
        from components.models.artefacts import read_spec

        return read_spec(self.folder).size_px

    def describe(self, images: Pixels) -> Floats:
        """Logits [N, num_classes]."""
        from components.models.artefacts import LoadedModel
        from components.models.prediction import predict_logits

        model = self._model
        assert isinstance(model, LoadedModel)
        return predict_logits(model.network, model.spec, images)


def choose_features(config: ScenesConfig, champion: Path | None) -> Features | None:
    """The features that scenes are told by; None for none. ConfigError where there is no champion to ask."""
    if config.features == "none":
        return None
    if config.features == "champion":
        if champion is None:
            raise ConfigError(
                "validation.scenes.features is champion, but no champion is pinned; use auto until one is promoted"
            )
        return ChampionFeatures(folder=champion)
    return FEATURES[DEFAULT if config.features == "auto" else config.features]()


def describe_photos(folder: Path, photos: Sequence[Facts], features: Features) -> Floats:
    """Comparable vectors [N, E] of `photos`, rows of the manifest at `folder`, in their order."""
    place = {fact.index: position for position, fact in enumerate(photos)}
    found: list[Floats] = []
    order: list[int] = []
    total = -(-manifest.count(folder) // _BATCH_ROWS)
    for first, rows in track(_batches(folder), "comparing photos", total=total):
        wanted = [(place[index], row) for index, row in enumerate(rows, start=first) if index in place]
        if wanted:
            order += [position for position, _ in wanted]
            size = features.size_px
            found.append(
                features.describe(np.stack([decode_fit(row["bytes"], size, name="photo") for _, row in wanted]))
            )
    if not found:
        return np.zeros((0, 1), dtype=np.float32)
    described = np.concatenate(found)[np.argsort(order)]
    return comparable(described, is_whitened=features.is_whitened)


def _batches(folder: Path) -> Iterator[tuple[int, list[dict[str, bytes]]]]:
    first = 0
    for batch in manifest.stream(folder, ["image"], batch_rows=_BATCH_ROWS):
        rows = batch.column("image").to_pylist()
        yield first, rows
        first += len(rows)

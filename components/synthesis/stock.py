"""Reads what images are made from, and says of each asset whether it can be used.

Assets are the catalogue's pictures and 3D models and the background photos, named by the digests of their bytes.
What cannot be used is listed with its reason and left out; the rest of the run goes on.
"""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from components.core import manifest
from components.core.digests import sample_id
from components.core.errors import DataError, UnavailableError
from components.core.progress import track
from components.datasets.meshes import PACKED, StoredModel, kind_of, model_ids, read_models, unpack
from components.synthesis.backgrounds import Background, sort_backgrounds
from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.cutouts import Cutout, cut_out, list_doubts
from components.synthesis.pastes.doubts import DoubtfulCutout
from components.synthesis.pastes.segmentation import load_segmenter
from components.synthesis.runs.work import Row

if TYPE_CHECKING:
    from components.synthesis.renders.models import Model

Role = Literal["picture", "model", "background", "panorama"]
_PICTURE_COLUMNS = ("sample_id", "image", "label", "group", "licence", "mask", "f_height_m")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One thing that images may be made from: what it is, by the digest of its bytes, and under which licence."""

    sample_id: str
    role: Role
    name: str
    label: str | None
    licence: str | None
    used: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubtful:
    """An asset that a person should look at, why, and whether it is used all the same."""

    sample_id: str
    role: Role
    name: str
    label: str | None
    reason: str
    used: bool = False

    @property
    def sentence(self) -> str:
        """The reason with the asset's name in it."""
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """A 3D model that can be rendered, and the asset that it is."""

    asset: Asset
    model: Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Stock:
    """All that a run is made from: cut-outs and models by class, backgrounds, and the word on every asset."""

    cutouts: dict[str, list[Cutout]]
    solids: dict[str, list[Solid]]
    backgrounds: list[Background]
    assets: tuple[Asset, ...]
    doubtful: tuple[Doubtful, ...]

    @property
    def classes(self) -> list[str]:
        """All classes that images can be made of, in order."""
        return sorted({*self.cutouts, *self.solids})


def read_stock(catalog: Path, backgrounds: Path | None, config: SynthesisConfig, *, seed: int) -> Stock:
    """Read the catalogue's manifest folder, its models, and the backgrounds (drawn ones where there are none).

    DataError when the catalogue is empty, or a class is left with nothing that can be used.
    """
    rows = _picture_rows(catalog)
    cutouts, doubtful = _cut_out_all(rows, config)
    solids, broken, stored = _load_models(catalog, pictured=set(cutouts) if config.render_share == 0 else set())
    if not rows and not stored:
        raise DataError(f"the catalogue {catalog} has no rows; give it at least one picture or model of each product")
    doubtful += broken
    named = {str(row["label"]) for row in rows} | {asset.label or "" for asset in stored}
    _require_all_classes(named, {*cutouts, *solids}, doubtful)
    grounds, unread = sort_backgrounds(backgrounds, size_px=config.size_px, seed=seed)
    doubtful += [_background_doubt(name, reason) for name, reason in unread.items()]
    useless = {item.sample_id for item in doubtful if not item.used}
    pictures = [_picture_asset(row, used=str(row["sample_id"]) not in useless) for row in rows]
    return Stock(
        cutouts=dict(sorted(cutouts.items())),
        solids=dict(sorted(solids.items())),
        backgrounds=grounds,
        assets=(
            *pictures,
            *stored,
            *map(_background_asset, grounds),
            *map(_unread_background, unread),
            *map(_panorama, config.renders.lights.panoramas if solids or config.wrap_share else ()),
        ),
        doubtful=tuple(doubtful),
    )


def picture_rows(catalog: Path, names: Sequence[str]) -> list[Row]:
    """The rows of the named pictures, for a sheet that shows them."""
    return [row for row in _picture_rows(catalog) if row["sample_id"] in set(names)]


def _picture_rows(catalog: Path) -> list[Row]:
    known = set(manifest.dataset(catalog).schema.names)
    rows: list[Row] = manifest.read(catalog, [name for name in _PICTURE_COLUMNS if name in known]).to_pylist()
    return rows


def _cut_out_all(rows: Sequence[Row], config: SynthesisConfig) -> tuple[dict[str, list[Cutout]], list[Doubtful]]:
    segmenter = load_segmenter(config.pastes.segmenter) if config.pastes.segmenter else None
    cutouts: dict[str, list[Cutout]] = defaultdict(list)
    doubtful: list[DoubtfulCutout] = []
    for row in track(rows, "Cutting out products"):
        result = cut_out(row, size_px=config.size_px, segmenter=segmenter)
        if isinstance(result, Cutout):
            cutouts[result.label].append(result)
            doubtful += list_doubts([result])
        else:
            doubtful.append(result)
    names = {str(row["sample_id"]): _name(row) for row in rows}
    return cutouts, [_picture_doubt(item, names[item.sample_id]) for item in doubtful]


def _load_models(catalog: Path, *, pictured: set[str]) -> tuple[dict[str, list[Solid]], list[Doubtful], list[Asset]]:
    """Models by class, those that are broken, and all of them as assets; those of `pictured` classes stay unread."""
    solids: dict[str, list[Solid]] = defaultdict(list)
    doubtful: list[Doubtful] = []
    assets: list[Asset] = []
    several = _under_several_labels(catalog)
    for stored in track(read_models(catalog), "Loading 3D models"):
        model = None
        try:
            if stored.sample_id in several:
                labels = ", ".join(sorted(several[stored.sample_id]))
                raise DataError(f"the same bytes stand under the labels {labels}; keep it under the right one only")
            model = open_model(stored) if stored.label not in pictured else None
        except (DataError, UnavailableError) as error:
            doubtful.append(_model_doubt(stored, str(error)))
        asset = _model_asset(stored, used=model is not None)
        assets.append(asset)
        if model is not None:
            solids[stored.label].append(Solid(asset=asset, model=model))
            doubtful += [_model_doubt(stored, warning, used=True) for warning in model.warnings]
    return solids, doubtful, assets


def _under_several_labels(catalog: Path) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = defaultdict(set)
    for stored_id, label in model_ids(catalog):
        labels[stored_id].add(label)
    return {name: found for name, found in labels.items() if len(found) > 1}


def open_model(stored: StoredModel) -> Model:
    """The model that a catalogue's row holds; DataError or UnavailableError as `load_model` says."""
    from components.synthesis.renders.meshes import load_model

    if stored.kind != PACKED:
        return load_model(stored.data, stored.kind, name=stored.name)
    with tempfile.TemporaryDirectory(prefix="detent-model-") as folder:
        path = unpack(stored.data, Path(folder), name=stored.name)
        return load_model(path.read_bytes(), kind_of(path.name), name=stored.name, folder=Path(folder))


def _require_all_classes(named: set[str], usable: Collection[str], doubtful: Sequence[Doubtful]) -> None:
    lost = sorted(named - set(usable))
    if lost:
        why = "; ".join(item.sentence for item in doubtful if item.label in lost)
        raise DataError(f"no usable catalogue picture or model is left for {', '.join(lost)} ({why}); replace these")


def _name(row: Row) -> str:
    return str((row["image"] or {}).get("path") or row["sample_id"])


def _picture_asset(row: Row, *, used: bool) -> Asset:
    licence = row.get("licence") or None
    return Asset(
        sample_id=row["sample_id"], role="picture", name=_name(row), label=row["label"], licence=licence, used=used
    )


def _picture_doubt(item: DoubtfulCutout, name: str) -> Doubtful:
    return Doubtful(
        sample_id=item.sample_id, role="picture", name=name, label=item.label, reason=item.reason, used=item.used
    )


def _model_asset(stored: StoredModel, *, used: bool) -> Asset:
    return Asset(
        sample_id=stored.sample_id,
        role="model",
        name=stored.name,
        label=stored.label,
        licence=stored.licence or None,
        used=used,
    )


def _model_doubt(stored: StoredModel, reason: str, *, used: bool = False) -> Doubtful:
    return Doubtful(
        sample_id=stored.sample_id, role="model", name=stored.name, label=stored.label, reason=reason, used=used
    )


def _background_asset(item: Background) -> Asset:
    return Asset(sample_id=item.sample_id, role="background", name=item.kind, label=None, licence=item.licence)


def _unread_background(name: str) -> Asset:
    return Asset(sample_id=name, role="background", name="photo", label=None, licence=None, used=False)


def _panorama(name: str) -> Asset:
    return Asset(sample_id=panorama_id(name), role="panorama", name=name, label=None, licence=None)


def panorama_id(name: str) -> str:
    """The digest of a panorama's file; DataError when it cannot be read."""
    try:
        return sample_id(Path(name).read_bytes())
    except OSError as error:
        raise DataError(f"the panorama {name} cannot be read ({error.strerror}); check lights.panoramas") from error


def _background_doubt(name: str, reason: str) -> Doubtful:
    return Doubtful(sample_id=name, role="background", name=name, label=None, reason=reason)

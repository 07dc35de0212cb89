"""The catalogue's 3D models, loaded, and the panoramas that light them."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.core.digests import sample_id
from components.core.errors import DataError, UnavailableError
from components.core.progress import track
from components.datasets.meshes import PACKED, StoredModel, kind_of, model_ids, read_models, unpack
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.models import Model
from components.synthesis.stock import Asset, Delivery, Doubtful, Source, Stock


@dataclass(frozen=True, slots=True, kw_only=True)
class Solid:
    """A 3D model that can be rendered, and the asset that it is."""

    asset: Asset
    model: Model


def read_solids(stock: Stock) -> Delivery[Mapping[str, list[Solid]]]:
    """The catalogue's models by class; where renders are not wanted, those of classes with pictures stay unread."""
    pictured = stock.read(PICTURES).items
    wanted = stock.terms.section("renders", RendersConfig).share > 0
    return _load(stock.catalog, unread=() if wanted else pictured)


def _load(catalog: Path | None, *, unread: Collection[str]) -> Delivery[Mapping[str, list[Solid]]]:
    if catalog is None:
        return Delivery(items={})
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
            model = open_model(stored) if stored.label not in unread else None
        except (DataError, UnavailableError) as error:
            doubtful.append(_doubt(stored, str(error)))
        asset = _asset(stored, used=model is not None)
        assets.append(asset)
        if model is not None:
            solids[stored.label].append(Solid(asset=asset, model=model))
            doubtful += [_doubt(stored, warning, used=True) for warning in model.warnings]
    return Delivery(items=dict(sorted(solids.items())), assets=tuple(assets), doubtful=tuple(doubtful))


def open_model(stored: StoredModel) -> Model:
    """The model that a catalogue's row holds; DataError or UnavailableError as `load_model` says."""
    from components.synthesis.renders.meshes import load_model

    if stored.kind != PACKED:
        return load_model(stored.data, stored.kind, name=stored.name)
    with tempfile.TemporaryDirectory(prefix="detent-model-") as folder:
        path = unpack(stored.data, Path(folder), name=stored.name)
        return load_model(path.read_bytes(), kind_of(path.name), name=stored.name, folder=Path(folder))


def _stored_models(stock: Stock) -> Iterator[tuple[str, bytes]]:
    if stock.catalog is not None:
        yield from ((model.sample_id, model.data) for model in read_models(stock.catalog))


MODELS = Source(role="model", read=read_solids, stored=_stored_models)


def read_panoramas(stock: Stock) -> Delivery[Sequence[Path]]:
    """The files that the settings of renders name; DataError for one that cannot be read."""
    found = [(name, sample_id(data)) for name, data in _panoramas(stock)]
    assets = [Asset(sample_id=digest, role="panorama", name=name, label=None, licence=None) for name, digest in found]
    return Delivery(items=[Path(name) for name, _ in found], assets=tuple(assets))


def _stored_panoramas(stock: Stock) -> Iterator[tuple[str, bytes]]:
    for _, data in _panoramas(stock):
        yield sample_id(data), data


PANORAMAS = Source(role="panorama", read=read_panoramas, stored=_stored_panoramas)


def _panoramas(stock: Stock) -> Iterator[tuple[str, bytes]]:
    for name in stock.terms.section("renders", RendersConfig).lights.panoramas:
        try:
            yield name, Path(name).read_bytes()
        except OSError as error:
            raise DataError(f"the panorama {name} cannot be read ({error.strerror}); check lights.panoramas") from error


def _under_several_labels(catalog: Path) -> dict[str, set[str]]:
    labels: dict[str, set[str]] = defaultdict(set)
    for stored_id, label in model_ids(catalog):
        labels[stored_id].add(label)
    return {name: found for name, found in labels.items() if len(found) > 1}


def _asset(stored: StoredModel, *, used: bool) -> Asset:
    return Asset(
        sample_id=stored.sample_id,
        role="model",
        name=stored.name,
        label=stored.label,
        licence=stored.licence or None,
        used=used,
    )


def _doubt(stored: StoredModel, reason: str, *, used: bool = False) -> Doubtful:
    return Doubtful(
        sample_id=stored.sample_id, role="model", name=stored.name, label=stored.label, reason=reason, used=used
    )

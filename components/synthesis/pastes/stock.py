"""The catalogue's pictures, cut out: what pastes are made of, and what wraps are wrapped in."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from components.core import manifest
from components.core.progress import track
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.pastes.cutouts import Cutout, cut_out, draw_doubts, list_doubts
from components.synthesis.pastes.doubts import DoubtfulCutout
from components.synthesis.pastes.segmentation import load_segmenter
from components.synthesis.runs.work import Row
from components.synthesis.stock import Asset, Delivery, Doubtful, Source, Stock

_COLUMNS = ("sample_id", "image", "label", "group", "licence", "mask", "f_height_m")


def read_pictures(stock: Stock) -> Delivery[Mapping[str, list[Cutout]]]:
    """The cut-outs of the catalogue's pictures by class; none without a catalogue."""
    rows = _rows(stock.catalog)
    path = stock.terms.section("pastes", PastesConfig).segmenter
    segmenter = load_segmenter(path) if path else None
    cutouts: dict[str, list[Cutout]] = defaultdict(list)
    found: list[DoubtfulCutout] = []
    for row in track(rows, "Cutting out products"):
        result = cut_out(row, size_px=stock.terms.size_px, segmenter=segmenter)
        if isinstance(result, Cutout):
            cutouts[result.label].append(result)
            found += list_doubts([result])
        else:
            found.append(result)
    names = {str(row["sample_id"]): _name(row) for row in rows}
    useless = {item.sample_id for item in found if not item.used}
    return Delivery(
        items=dict(sorted(cutouts.items())),
        assets=tuple(_asset(row, used=str(row["sample_id"]) not in useless) for row in rows),
        doubtful=tuple(_doubt(item, names[item.sample_id]) for item in found),
    )


def _stored(stock: Stock) -> Iterator[tuple[str, bytes]]:
    if stock.catalog is not None:
        for batch in manifest.stream(stock.catalog, ["sample_id", "image"], batch_rows=64):
            yield from ((row["sample_id"], row["image"]["bytes"]) for row in batch.to_pylist())


PICTURES = Source(role="picture", read=read_pictures, stored=_stored)


def draw_doubtful(catalog: Path, doubtful: Sequence[Doubtful], path: Path) -> Path | None:
    """Draw a sheet of those that are pictures, with their reasons, to a PNG at `path`; None where there are none."""
    pictures = [item for item in doubtful if item.role == PICTURES.role]
    if not pictures:
        path.unlink(missing_ok=True)
        return None
    items = [
        DoubtfulCutout(sample_id=item.sample_id, label=str(item.label), reason=item.reason, used=item.used)
        for item in pictures
    ]
    named = {item.sample_id for item in items}
    return draw_doubts([row for row in _rows(catalog) if row["sample_id"] in named], items, path)


def _rows(catalog: Path | None) -> list[Row]:
    if catalog is None:
        return []
    known = set(manifest.dataset(catalog).schema.names)
    rows: list[Row] = manifest.read(catalog, [name for name in _COLUMNS if name in known]).to_pylist()
    return rows


def _name(row: Row) -> str:
    return str((row["image"] or {}).get("path") or row["sample_id"])


def _asset(row: Row, *, used: bool) -> Asset:
    licence = row.get("licence") or None
    return Asset(
        sample_id=row["sample_id"], role="picture", name=_name(row), label=row["label"], licence=licence, used=used
    )


def _doubt(item: DoubtfulCutout, name: str) -> Doubtful:
    return Doubtful(
        sample_id=item.sample_id, role="picture", name=name, label=item.label, reason=item.reason, used=item.used
    )

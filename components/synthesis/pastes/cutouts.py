"""Cuts products out of their catalogue pictures and says which cut-outs a person should look at.

A renderer's mask or real transparency is taken as it is; elsewhere the picture is segmented, by Detent or by
the user's own model. What cannot be used is reported, never pasted.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from components.core.errors import DataError
from components.synthesis.pastes.doubts import DoubtfulCutout, doubts, unusable
from components.synthesis.pastes.mattes import build_levels, soften
from components.synthesis.pastes.segmentation import Segmenter, segment
from components.synthesis.pastes.shapes import Shape, measure
from components.synthesis.picture.pictures import Pixels, decode
from components.synthesis.runs.work import Row

_LEAST_HEIGHT_M, _LARGEST_HEIGHT_M = 0.001, 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cutout:
    """A product without its background: premultiplied RGBA, full size first, then halved time and again.

    `height_m` is the real height of the upright product where the catalogue knows it; `doubts` are reasons for
    a person to look at it.
    """

    sample_id: str
    label: str
    group: str
    licence: str | None
    levels: tuple[Pixels, ...]
    height_m: float | None = None
    shape: Shape = field(default_factory=Shape)
    doubts: tuple[str, ...] = ()

    @property
    def aspect(self) -> float:
        """Width by height."""
        height, width = self.levels[0].shape[:2]
        return float(width / height)


def cut_out(row: Row, *, size_px: int, segmenter: Segmenter | None = None) -> Cutout | DoubtfulCutout:
    """The cut-out of a catalogue row (columns of the manifest), its longer side at most `size_px` pixels.

    `f_height_m`, where there is such a column, is the product's real height.
    """
    sample, label = str(row["sample_id"]), str(row["label"])
    try:
        picture, alpha = _covered(row, size_px, segmenter)
        height_m = _height_m(row.get("f_height_m"))
    except DataError as error:
        return DoubtfulCutout(sample_id=sample, label=label, reason=str(error))
    reason = unusable(alpha)
    if reason:
        return DoubtfulCutout(sample_id=sample, label=label, reason=reason)
    return Cutout(
        sample_id=sample,
        label=label,
        group=str(row.get("group") or sample),
        licence=row.get("licence"),
        levels=build_levels(picture[..., :3], alpha, size_px=size_px),
        height_m=height_m,
        shape=measure(alpha),
        doubts=doubts(alpha),
    )


def list_doubts(cutouts: Iterable[Cutout]) -> list[DoubtfulCutout]:
    """The cut-outs that are used and yet should be looked at."""
    return [
        DoubtfulCutout(sample_id=item.sample_id, label=item.label, reason="; ".join(item.doubts), used=True)
        for item in cutouts
        if item.doubts
    ]


def draw_doubts(rows: Sequence[Row], doubtful: Sequence[DoubtfulCutout], path: Path, *, size_px: int = 160) -> Path:
    """Draw a sheet (PNG at `path`) for a person: each doubtful picture, its background magenta, and the reason.

    `rows` are the catalogue's; those that are not doubtful are passed over. Pictures that cannot be decoded
    come as an empty cell. Returns the path.
    """
    from components.synthesis.pastes.doubt_sheet import draw_sheet

    found = {str(row["sample_id"]): row for row in rows}
    cells = [(item, _shown(found.get(item.sample_id), size_px)) for item in doubtful]
    return draw_sheet(cells, path)


def _shown(row: Row | None, size_px: int) -> Pixels | None:
    """RGB with magenta where the cut-out is empty, or None where there is nothing to show."""
    if row is None:
        return None
    try:
        picture, alpha = _covered(row, size_px, None)
    except DataError:
        return None
    share = alpha[..., None] / 255
    return np.asarray(picture[..., :3] * share + np.array([255, 0, 255]) * (1 - share)).astype(np.uint8)


def _covered(row: Row, size_px: int, segmenter: Segmenter | None) -> tuple[Pixels, Pixels]:
    """The picture RGBA and its coverage (H, W); DataError when there is none."""
    picture = decode(row["image"], name=f"sample {row['sample_id']}", max_side_px=size_px * 2)
    alpha = _given_mask(row, picture, size_px)
    if alpha is None:
        rgb = np.ascontiguousarray(picture[..., :3])
        alpha = soften(segment(rgb)) if segmenter is None else segmenter(rgb)
    return picture, alpha


def _given_mask(row: Row, picture: Pixels, size_px: int) -> Pixels | None:
    """The renderer's mask, or the picture's own transparency, where there is one."""
    if row.get("mask"):
        mask = decode({"bytes": row["mask"], "path": None}, name="its mask", max_side_px=size_px * 2)[..., 0]
        if mask.shape != picture.shape[:2]:
            sizes = f"{mask.shape[1]}x{mask.shape[0]} and {picture.shape[1]}x{picture.shape[0]}"
            raise DataError(f"mask and picture differ in shape: {sizes} pixels")
        return mask
    alpha = picture[..., 3]
    return alpha if (alpha < 128).mean() > 0.01 else None


def _height_m(value: object) -> float | None:
    """The height in metres; DataError when it is no length that a product can have."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, int | float) or not _LEAST_HEIGHT_M <= value <= _LARGEST_HEIGHT_M:
        raise DataError(f"f_height_m must lie within [{_LEAST_HEIGHT_M}, {_LARGEST_HEIGHT_M}] metres, got {value!r}")
    return float(value)

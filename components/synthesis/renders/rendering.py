"""The shard job of renders: relights traced views, sets them into backgrounds, photographs and encodes them.

A shard holds some views and all their images; transfers are read one by one, so memory does not grow with the
run. A row is a pure function of (views, backgrounds, settings, seed, shard, index): `row` makes any of them again
alone, bit for bit, because an image is always lit in the same slot of a block (see `relighting.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import cv2
import numpy as np

from components.synthesis.backgrounds import Background
from components.synthesis.light.lighting import Light, draw_kind, draw_light, main_direction, turned
from components.synthesis.light.panoramas import fit_light, read_regions, surrounding_level
from components.synthesis.picture.aims import Aim, aimed_draw, check_factors
from components.synthesis.picture.camera import (
    CameraConfig,
    Floats,
    Shot,
    draw_shot,
    sometimes,
    take_picture,
    to_linear,
)
from components.synthesis.picture.encoding import encode_jpeg
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.picture.geometry import Geometry
from components.synthesis.picture.pictures import Pixels
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.framing import (
    OCCLUDERS,
    Occlusion,
    Placement,
    Silhouette,
    cover,
    draw_occlusion,
    draw_placement,
    geometry,
    hide,
    place_mask,
    set_in,
    silhouette,
)
from components.synthesis.renders.planning import PlannedView
from components.synthesis.renders.relighting import BLOCK, Relit, prepare, relight
from components.synthesis.renders.transfers import Transfer
from components.synthesis.runs.rows import Stamp, image_columns, joined_licences, row_rng
from components.synthesis.runs.work import Row

_ROWS_PER_SHARD = 1024


class Transfers(Protocol):
    """Where traced views lie."""

    def load(self, key: str) -> Transfer:
        """The transfer of a key."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderSettings:
    """How all renders of a run are made; `panoramas` are the lights of `renders.lights.panoramas`, in their order."""

    renders: RendersConfig = field(default_factory=RendersConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    size_px: int = 128
    panoramas: tuple[Light, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """One image before it is lit: everything drawn for it."""

    background: Background
    scene: Pixels
    light: Light
    level: float
    placement: Placement
    mask: Pixels
    occlusion: Occlusion | None
    shot: Shot
    factors: FactorDraw


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderingJob:
    """Renders in shards; each view has the key of its transfer.

    It is pickled once for every worker process.
    """

    views: tuple[PlannedView, ...]
    transfers: Transfers
    backgrounds: tuple[Background, ...]
    settings: RenderSettings
    stamp: Stamp

    @property
    def views_per_shard(self) -> int:
        """Views whose images share a shard, so that shards are neither tiny nor huge."""
        return max(1, _ROWS_PER_SHARD // self.settings.renders.lights_per_view)

    @property
    def num_shards(self) -> int:
        """How many shards hold all images."""
        return -(-len(self.views) // self.views_per_shard)

    def rows(self, shard: int) -> list[Row]:
        """The rows of one shard; none beyond the last."""
        count = self.settings.renders.lights_per_view
        views = self.views[shard * self.views_per_shard : (shard + 1) * self.views_per_shard]
        return [
            row for place in range(len(views)) for row in self._rows(shard, range(place * count, (place + 1) * count))
        ]

    def row(self, shard: int, index: int) -> Row:
        """One row, the same bytes whether it is made with its shard or alone."""
        return next(self._rows(shard, range(index, index + 1)))

    def geometry(self, shard: int, index: int) -> Geometry:
        """Mask, depth and normals of one image, without lighting it."""
        transfer = self.transfers.load(self._view(shard, index).key)
        shape = silhouette(transfer)
        draft = self._draft(shard, index, shape)
        if draft.occlusion is not None:
            hide(draft.mask, draft.occlusion)
        return geometry(transfer, shape, draft.placement, draft.mask)

    def _view(self, shard: int, index: int) -> PlannedView:
        return self.views[shard * self.views_per_shard + index // self.settings.renders.lights_per_view]

    def _rows(self, shard: int, indices: range) -> Iterator[Row]:
        """Rows of one view."""
        transfer = self.transfers.load(self._view(shard, indices.start).key)
        shape, prepared = silhouette(transfer), prepare(transfer)
        count = self.settings.renders.lights_per_view
        for start in range(indices.start, indices.stop, BLOCK):
            part = range(start, min(start + BLOCK, indices.stop))
            drafts = [self._draft(shard, index, shape) for index in part]
            lights = np.stack([draft.light.coefficients for draft in drafts])
            for index, draft, relit in zip(part, drafts, relight(prepared, lights, first=start % count), strict=True):
                yield self._finished(shard, index, draft, relit, shape)

    def _draft(self, shard: int, index: int, shape: Silhouette) -> _Draft:
        settings, config = self.settings, self.settings.renders
        planned = self._view(shard, index)
        rng = row_rng(self.stamp.seed, shard, index)
        factors = aimed_draw(planned.aim, rng)
        placement = draw_placement(shape, config, factors, settings.size_px)
        backgrounds = _meant(self.backgrounds, planned.aim)
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        scene = _crop(background.pixels, settings, factors)
        factors.note("background", background.kind)
        regions = read_regions(scene)
        level = surrounding_level(regions)
        light = _draw_light(regions, settings, factors, planned.view.azimuth_deg)
        mask = place_mask(shape, placement)
        occlusion = draw_occlusion(mask, config, factors)
        return _Draft(
            background=background,
            scene=scene,
            light=light.times(level * 2.0 ** factors.uniform("light_ev", *config.lights.level_ev)),
            level=level,
            placement=placement,
            mask=mask,
            occlusion=occlusion,
            shot=draw_shot(settings.camera, factors, settings.size_px),
            factors=factors,
        )

    def _finished(self, shard: int, index: int, draft: _Draft, relit: Relit, shape: Silhouette) -> Row:
        planned, factors, mask = self._view(shard, index), draft.factors, draft.mask
        picture = set_in(to_linear(draft.scene), relit, shape, draft.placement)
        if draft.occlusion is not None:
            cover(picture, mask, draft.occlusion, level=draft.level)
        factors.columns.update(planned.factors)
        factors.note("visible", cv2.sumElems(mask)[0] / (255 * shape.area_px * draft.placement.zoom**2))
        check_factors(planned.aim, factors.columns)
        (encoded,) = encode_jpeg([take_picture(picture, draft.shot)], [draft.shot.jpeg_quality])
        subject, background = planned.subject, draft.background
        return image_columns(encoded, mask) | {
            "label": subject.label,
            "source": "render",
            "group": subject.group,
            "parents": [subject.digest, background.sample_id],
            "licence": joined_licences(subject.licence, background.licence),
            "recipe": self.stamp.at(shard, index),
            **factors.columns,
        }


def words_drawn(config: RendersConfig, backgrounds: Sequence[Background]) -> dict[str, frozenset[str]]:
    """The words that an aim can narrow the factors of renders to."""
    covered = config.occlusion_probability > 0
    return {
        "background": frozenset(background.kind for background in backgrounds),
        "light": frozenset(kind for kind, share in config.lights.shares.items() if share),
        "occluder": frozenset({"none", *(OCCLUDERS if covered else ())}),
    }


def _meant(backgrounds: tuple[Background, ...], aim: Aim | None) -> tuple[Background, ...]:
    """The backgrounds of those kinds that an aim names; all where it names none."""
    if aim is None or "background" not in aim.words:
        return backgrounds
    return tuple(one for one in backgrounds if one.kind in aim.words["background"]) or backgrounds


def _crop(pixels: Pixels, settings: RenderSettings, factors: FactorDraw) -> Pixels:
    """A square of a background, mirrored half of the time, scaled to the frame and sometimes out of focus."""
    config, size_px, rng = settings.renders, settings.size_px, factors.rng
    height, width = pixels.shape[:2]
    side = max(1, round(min(height, width) * factors.uniform("background_zoom", *config.background_zoom)))
    top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
    part = pixels[top : top + side, left : left + side]
    blur_px = sometimes(factors, "background_blur_px", config.background_blur, config.background_blur_probability)
    if blur_px:
        part = _blurred(part, blur_px)
    crop = cv2.resize(part, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.flip(crop, 1) if rng.random() < 0.5 else crop)


def _blurred(part: Pixels, blur_px: float) -> Pixels:
    """A small version of the crop: enlarged to the frame it is blurred by so much, for a frame of 128 pixels."""
    side = max(8, round(128 / (1 + 1.6 * blur_px)))
    small = cv2.resize(part, (side, side), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (2 * side, 2 * side), interpolation=cv2.INTER_CUBIC))


def _draw_light(regions: Floats, settings: RenderSettings, factors: FactorDraw, azimuth_deg: float) -> Light:
    """A light at level 1 of a drawn kind: drawn sources, the background's own, or a panorama turned at random."""
    kind = draw_kind(settings.renders.lights, factors)
    if kind == "background":
        light = fit_light(regions, azimuth_deg=azimuth_deg)
    elif kind == "panorama":
        chosen = settings.panoramas[int(factors.rng.integers(len(settings.panoramas)))]
        light = turned(chosen, float(factors.rng.uniform(-180, 180)))
        light = light.times(1 / light.level)
    else:
        return draw_light(kind, settings.renders.lights, factors, azimuth_deg=azimuth_deg)
    azimuth, elevation = main_direction(light)
    factors.note("light_azimuth_deg", (azimuth - azimuth_deg + 180) % 360 - 180)
    factors.note("light_elevation_deg", elevation)
    return light

"""Plans the views of a run: which model is seen from where, and in the service of which aim.

A plan is a function of (models, settings, seed) alone, made before anything is traced, so that transfers can be
traced ahead, in any order, and shards can name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from components.core.errors import DataError
from components.synthesis.picture.aims import Aim, aimed_draw, check_classes, choose_aim
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.transfers import View
from components.synthesis.runs.rows import row_rng

_MARGIN = 1.3  # of the object's half width: what the picture shows around it, so that its shadow has room
_SENSOR_SIDE_MM = 36.0
_PLAN = 2**31  # a place in the seed's space that no shard has


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model to make images of: its label, its mesh's digest and size (x, y, z), the group that it belongs to."""

    label: str
    digest: str
    size_m: tuple[float, float, float]
    group: str
    licence: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedView:
    """One view of a subject, its factor columns, the aim that it follows, and the key of its transfer once traced."""

    subject: Subject
    view: View
    factors: dict[str, Any] = field(default_factory=dict)
    aim: Aim | None = None
    key: str = ""


def plan_views(
    subjects: Sequence[Subject], config: RendersConfig, *, seed: int, aims: Sequence[Aim] = ()
) -> list[PlannedView]:
    """`views_per_model` views for each subject, one round of subjects after the other; aims take their share of all.

    A view that an aim takes shows one of the aim's classes instead. DataError without subjects, ConfigError for
    an aim at classes that no subject has.
    """
    if not subjects:
        raise DataError("there are no models to render; give some, or leave the renders' share of images at 0")
    check_classes(aims, {subject.label for subject in subjects})
    return [
        _plan(subjects, subjects[number % len(subjects)], config, aims, row_rng(seed, _PLAN, number))
        for number in range(config.views_per_model * len(subjects))
    ]


def draw_view(config: RendersConfig, factors: FactorDraw, *, size_m: tuple[float, float, float]) -> View:
    """Draw where the camera stands; its angle of view is such that the object's box just fills the picture."""
    radius_m = float(np.linalg.norm(size_m)) / 2
    view = View(
        azimuth_deg=factors.uniform("azimuth_deg", *config.azimuth_deg),
        elevation_deg=factors.uniform("elevation_deg", *config.elevation_deg),
        distance_m=radius_m * factors.log_uniform("distance_ratio", *config.distance_ratio),
    )
    view = replace(view, focal_mm=_SENSOR_SIDE_MM / 2 / (_MARGIN * _half_width(view, size_m)))
    factors.note("distance_m", view.distance_m)
    factors.note("fov_deg", view.fov_deg)
    return view


def _half_width(view: View, size_m: tuple[float, float, float]) -> float:
    """How far the corners of a box around the point that a camera looks at lie aside, at a distance of one."""
    corners = np.stack(np.meshgrid([-0.5, 0.5], [-0.5, 0.5], [-0.5, 0.5]), axis=-1).reshape(-1, 3) * size_m
    right, up, forward = view.frame
    depth = view.distance_m + corners @ forward
    return float(max(np.abs(corners @ right / depth).max(), np.abs(corners @ up / depth).max()))


def _plan(
    subjects: Sequence[Subject], next_one: Subject, config: RendersConfig, aims: Sequence[Aim], rng: np.random.Generator
) -> PlannedView:
    aim = choose_aim(aims, rng)
    chosen = next_one
    if aim is not None and aim.classes:
        fitting = [subject for subject in subjects if subject.label in aim.classes]
        chosen = fitting[int(rng.integers(len(fitting)))]
    factors = aimed_draw(aim, rng)
    view = draw_view(config, factors, size_m=chosen.size_m)
    return PlannedView(subject=chosen, view=view, factors=factors.columns, aim=aim)

"""The lots that are rendered: 3D models of the catalogue, and its pictures wrapped on plain solids.

Views are planned first, each model's in turn, then traced once and kept under DETENT_HOME; every shard relights
them. How many lights a view gets follows from how many images are asked for: few images are spread over as many
views as lights, many images use each view up to `renders.lights_per_view` times, since tracing is what costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, sqrt
from pathlib import Path

import numpy as np

from components.core.errors import ConfigError
from components.synthesis.light.panoramas import light_from_panorama
from components.synthesis.lots import Generator, Lot, Order, Quota, fitting_aims
from components.synthesis.picture.aims import Aim
from components.synthesis.picture.pictures import Pixels
from components.synthesis.renders.backends import Backend, choose_backend
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.models import Model
from components.synthesis.renders.planning import Subject, plan_views
from components.synthesis.renders.rendering import RenderingJob, RenderSettings, words_drawn
from components.synthesis.renders.tracing import transfer_digest
from components.synthesis.renders.transfer_store import TransferStore
from components.synthesis.renders.transfers import Tracing, Transfer, View
from components.synthesis.renders.wraps import guess_shape, wrap_picture
from components.synthesis.runs.work import Row

_WRAP_AZIMUTH_DEG, _WRAP_ELEVATION_DEG = (-55.0, 55.0), (0.0, 35.0)
_TITLES: dict[Generator, str] = {"renders": "Rendering models", "wraps": "Rendering wrapped pictures"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Something to render: what rows say of it, its mesh, and factor columns that all its images share."""

    subject: Subject
    model: Model
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracer:
    """Traces the views of a plan into the store, all ahead or one when it is asked for."""

    store: TransferStore
    views: Mapping[str, tuple[Model, View]]
    tracing: Tracing
    backend: Backend

    def trace_all(self) -> int:
        """Trace what the store lacks; returns how many views that were."""
        by_model: dict[str, list[tuple[Model, View]]] = defaultdict(list)
        missing = [key for key in self.views if not self.store.path(key).is_file()]
        for model, view in self.views.values():
            by_model[model.digest].append((model, view))
        for pairs in by_model.values():
            self.store.fill(pairs[0][0], [view for _, view in pairs], self.tracing, backend=self.backend)
        return len(missing)

    def load(self, key: str) -> Transfer:
        """The transfer of a key, traced now if the store lacks it."""
        model, view = self.views[key]
        return self.store.get_or_trace(model, view, self.tracing, backend=self.backend)


def solid_lots(order: Order, quotas: Mapping[str, Quota]) -> list[Lot]:
    """The lots of renders and wraps that have anything to make.

    ConfigError where more images of a model are asked for than its views and lights give, or a wrapped class is
    unknown. DataError where a picture cannot be wrapped.
    """
    lots = []
    renders = {label: quota.renders for label, quota in quotas.items() if quota.renders}
    if renders:
        lots.append(_lot(order, "renders", _solid_bodies(order, renders), renders))
    wraps = {label: quota.wraps for label, quota in quotas.items() if quota.wraps}
    if wraps:
        lots.append(_lot(_from_the_front(order), "wraps", _wrapped_bodies(order, wraps), wraps))
    return lots


def _from_the_front(order: Order) -> Order:
    """The order with views narrowed to those of which a catalogue picture knows what is seen."""
    renders = order.config.renders
    azimuth, elevation = (
        tuple(float(np.clip(bound, *known)) for bound in asked)
        for asked, known in ((renders.azimuth_deg, _WRAP_AZIMUTH_DEG), (renders.elevation_deg, _WRAP_ELEVATION_DEG))
    )
    narrowed = renders.model_copy(update={"azimuth_deg": azimuth, "elevation_deg": elevation})
    return replace(order, config=order.config.model_copy(update={"renders": narrowed}))


def _solid_bodies(order: Order, labels: Mapping[str, int]) -> dict[str, list[Body]]:
    bodies = defaultdict(list)
    for label in labels:
        for solid in order.stock.solids[label]:
            subject = _subject(solid.model, label, solid.asset.sample_id, solid.asset.sample_id, solid.asset.licence)
            bodies[label].append(Body(subject=subject, model=solid.model, columns={}))
    return dict(bodies)


def _wrapped_bodies(order: Order, labels: Mapping[str, int]) -> dict[str, list[Body]]:
    strange = sorted(set(order.config.wrap_shapes) - set(order.stock.classes))
    if strange:
        raise ConfigError(f"synthesis.wrap_shapes names no classes: {strange}; known: {order.stock.classes[:20]}")
    bodies = defaultdict(list)
    for label in labels:
        for cutout in order.stock.cutouts[label]:
            rgba = straight(cutout.levels[0])
            name = f"picture {cutout.sample_id}"
            shape = order.config.wrap_shapes.get(label, order.config.wrap_shape)
            chosen = guess_shape(rgba, name=name) if shape == "auto" else shape
            model = wrap_picture(rgba, chosen, name=name, height_m=cutout.height_m)
            subject = _subject(model, label, cutout.sample_id, cutout.group, cutout.licence)
            bodies[label].append(Body(subject=subject, model=model, columns={"f_wrap": chosen}))
    return dict(bodies)


def straight(layer: Pixels) -> Pixels:
    """Premultiplied RGBA (H, W, 4) uint8 with its colours as they were before."""
    alpha = layer[..., 3:].astype(np.float32)
    colour = np.where(alpha > 0, layer[..., :3] * (255 / np.maximum(alpha, 1)), 0)
    return np.dstack([colour.clip(0, 255).round().astype(np.uint8), layer[..., 3]])


def _subject(model: Model, label: str, digest: str, group: str, licence: str | None) -> Subject:
    return Subject(label=label, digest=digest, size_m=model.size_m, group=group, licence=licence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Cast:
    """One lot in the making: bodies in the order of their views, and how they are rendered."""

    order: Order
    turns: tuple[Body, ...]
    settings: RenderSettings
    tracing: Tracing
    backend: Backend
    store: TransferStore

    def job(self, aims: Sequence[Aim]) -> tuple[RenderingJob, Tracer]:
        """The job with the views that these aims lead to, and the tracer of these views."""
        one_each = self.settings.renders.model_copy(update={"views_per_model": 1})
        subjects = [body.subject for body in self.turns]
        planned = plan_views(subjects, one_each, seed=self.order.seed, aims=aims)
        bodies = {body.subject.digest: body for body in self.turns}
        keyed, wanted = [], {}
        for view in planned:
            body = bodies[view.subject.digest]
            key = transfer_digest(body.model, view.view, self.tracing, backend=self.backend)
            keyed.append(replace(view, key=key, factors={**view.factors, **body.columns}))
            wanted[key] = body.model, view.view
        made = RenderingJob(
            views=tuple(keyed),
            transfers=self.store,
            backgrounds=tuple(self.order.stock.backgrounds),
            settings=self.settings,
            seed=self.order.seed,
            recipe=self.order.recipe,
        )
        return made, Tracer(store=self.store, views=wanted, tracing=self.tracing, backend=self.backend)

    def example(self) -> Row:
        """Any row without aims."""
        job, tracer = self.job(())
        return replace(job, transfers=tracer).row(0, 0)


def _lot(order: Order, generator: Generator, bodies: Mapping[str, list[Body]], counts: Mapping[str, int]) -> Lot:
    config = _spread(order.config.renders, bodies, counts)
    settings = RenderSettings(
        renders=config,
        camera=order.config.camera,
        size_px=order.config.size_px,
        panoramas=tuple(light_from_panorama(Path(name), name=name) for name in config.lights.panoramas),
    )
    cast = _Cast(
        order=order,
        turns=_in_turn(bodies, {label: ceil(count / config.lights_per_view) for label, count in counts.items()}),
        settings=settings,
        tracing=Tracing(size_px=order.config.size_px, num_paths=config.num_paths),
        backend=choose_backend(),
        store=TransferStore(folder=order.cache),
    )
    aims = fitting_aims(order.config.aims, set(bodies), cast.example, words_drawn(config, order.stock.backgrounds))
    job, tracer = cast.job(tuple(aims.values()))
    return Lot(
        generator=generator,
        title=_TITLES[generator],
        job=job,
        num_shards=job.num_shards,
        num_images=len(job.views) * config.lights_per_view,
        aims=frozenset(aims),
        prepare=tracer.trace_all,
        lone=replace(job, transfers=tracer),
    )


def _spread(config: RendersConfig, bodies: Mapping[str, list[Body]], counts: Mapping[str, int]) -> RendersConfig:
    """The settings with as many lights a view as the number of images asks for, within the user's limits."""
    images = max(count / len(bodies[label]) for label, count in counts.items())
    lights = min(config.lights_per_view, max(ceil(sqrt(images)), ceil(images / config.views_per_model)))
    if images > lights * config.views_per_model:
        raise ConfigError(
            f"{images:.0f} renders of one model are asked for, but synthesis.renders allows {config.views_per_model} "
            f"views of it with {config.lights_per_view} lights each: raise views_per_model or lights_per_view"
        )
    return config.model_copy(update={"lights_per_view": lights})


def _in_turn(bodies: Mapping[str, list[Body]], views: Mapping[str, int]) -> tuple[Body, ...]:
    """The bodies, one for each view: class by class, each class's own in turn, until each class has its views."""
    turns = range(max(views.values()))
    return tuple(bodies[label][turn % len(bodies[label])] for turn in turns for label in bodies if turn < views[label])

"""The lots that are rendered: 3D models of the catalogue, and its pictures wrapped on plain solids.

Views are planned first, each model's in turn, then traced once and kept under DETENT_HOME; every shard relights
them. How many lights a view gets follows from how many images are asked for: few images are spread over as many
views as lights, many images use each view up to `renders.lights_per_view` times, since tracing is what costs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, hypot, sqrt

import numpy as np

from components.core.errors import ConfigError
from components.synthesis.backgrounds import BACKGROUNDS
from components.synthesis.light.panoramas import light_from_panorama
from components.synthesis.pastes.stock import PICTURES
from components.synthesis.picture.aims import Aim
from components.synthesis.renders.backends import Backend, choose_backend
from components.synthesis.renders.config import RendersConfig, WrapsConfig
from components.synthesis.renders.models import Model
from components.synthesis.renders.planning import Subject, plan_views
from components.synthesis.renders.rendering import RenderingJob, RenderSettings, words_drawn
from components.synthesis.renders.stock import MODELS, PANORAMAS
from components.synthesis.renders.tracing import transfer_digest
from components.synthesis.renders.transfer_store import TransferStore
from components.synthesis.renders.transfers import Tracing, Transfer, View
from components.synthesis.renders.wraps import guess_shape, straight, wrap_picture
from components.synthesis.runs.jobs import Lot, Order, fitting_aims
from components.synthesis.runs.work import Row

_WRAP_AZIMUTH_DEG, _WRAP_ELEVATION_DEG = (-55.0, 55.0), (0.0, 35.0)


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


def model_lot(order: Order) -> Lot:
    """The lot of renders; ConfigError where more images of a model are asked for than its views and lights give."""
    config = order.terms.section("renders", RendersConfig)
    return _lot(order, config, _solid_bodies(order), title="Rendering models")


def wrap_lot(order: Order) -> Lot:
    """The lot of wraps; ConfigError as for renders or for an unknown class, DataError for what cannot be wrapped."""
    config = _from_the_front(order.terms.section("renders", RendersConfig))
    return _lot(order, config, _wrapped_bodies(order), title="Rendering wrapped pictures")


def _from_the_front(config: RendersConfig) -> RendersConfig:
    """The settings with views narrowed to those of which a catalogue picture knows what is seen."""
    azimuth, elevation = (
        tuple(float(np.clip(bound, *known)) for bound in asked)
        for asked, known in ((config.azimuth_deg, _WRAP_AZIMUTH_DEG), (config.elevation_deg, _WRAP_ELEVATION_DEG))
    )
    return config.model_copy(update={"azimuth_deg": azimuth, "elevation_deg": elevation})


def _wanted(order: Order) -> dict[str, int]:
    return {label: count for label, count in order.counts.items() if count}


def _solid_bodies(order: Order) -> dict[str, list[Body]]:
    bodies, solids = defaultdict(list), order.stock.read(MODELS).items
    for label in _wanted(order):
        for solid in solids[label]:
            subject = _subject(solid.model, label, solid.asset.sample_id, solid.asset.sample_id, solid.asset.licence)
            bodies[label].append(Body(subject=subject, model=solid.model, columns={}))
    return dict(bodies)


def _wrapped_bodies(order: Order) -> dict[str, list[Body]]:
    config, cutouts = order.terms.section("wraps", WrapsConfig), order.stock.read(PICTURES).items
    strange = sorted(set(config.shapes) - set(order.counts))
    if strange:
        raise ConfigError(
            f"synthesis.generators.wraps.shapes names no classes: {strange}; known: {list(order.counts)[:20]}"
        )
    bodies = defaultdict(list)
    for label in _wanted(order):
        for cutout in cutouts[label]:
            rgba = straight(cutout.levels[0])
            name = f"picture {cutout.sample_id}"
            shape = config.shapes.get(label, config.shape)
            chosen = guess_shape(rgba, name=name) if shape == "auto" else shape
            model = wrap_picture(rgba, chosen, name=name, height_m=cutout.height_m)
            subject = _subject(model, label, cutout.sample_id, cutout.group, cutout.licence)
            bodies[label].append(Body(subject=subject, model=model, columns={"f_wrap": chosen}))
    return dict(bodies)


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
        planned = plan_views(subjects, one_each, seed=self.order.terms.seed, aims=aims)
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
            backgrounds=tuple(self.order.stock.read(BACKGROUNDS).items),
            settings=self.settings,
            stamp=self.order.stamp,
        )
        return made, Tracer(store=self.store, views=wanted, tracing=self.tracing, backend=self.backend)

    def example(self) -> Row:
        """Any row without aims."""
        job, tracer = self.job(())
        return replace(job, transfers=tracer).row(0, 0)


def _lot(order: Order, config: RendersConfig, bodies: Mapping[str, list[Body]], *, title: str) -> Lot:
    counts, terms = _wanted(order), order.terms
    config = _spread(config, bodies, counts)
    settings = RenderSettings(
        renders=config,
        camera=terms.camera,
        size_px=terms.size_px,
        panoramas=tuple(light_from_panorama(path, name=str(path)) for path in order.stock.read(PANORAMAS).items),
    )
    cast = _Cast(
        order=order,
        turns=_in_turn(bodies, {label: ceil(count / config.lights_per_view) for label, count in counts.items()}),
        settings=settings,
        tracing=Tracing(size_px=terms.size_px, num_paths=config.num_paths),
        backend=choose_backend(),
        store=TransferStore(folder=order.cache / "transfers"),
    )
    words = words_drawn(config, order.stock.read(BACKGROUNDS).items)
    aims = fitting_aims(terms.aims, set(bodies), cast.example, words)
    job, tracer = cast.job(tuple(aims.values()))
    alone = replace(job, transfers=tracer)
    return Lot(
        title=title,
        job=job,
        num_shards=job.num_shards,
        num_images=len(job.views) * config.lights_per_view,
        aims=frozenset(aims),
        prepare=tracer.trace_all,
        lone=alone,
        geometry=alone.geometry,
        farthest_m=max(view.view.distance_m + hypot(*view.subject.size_m) / 2 for view in job.views),
    )


def _spread(config: RendersConfig, bodies: Mapping[str, list[Body]], counts: Mapping[str, int]) -> RendersConfig:
    """The settings with as many lights a view as the number of images asks for, within the user's limits."""
    images = max(count / len(bodies[label]) for label, count in counts.items())
    lights = min(config.lights_per_view, max(ceil(sqrt(images)), ceil(images / config.views_per_model)))
    if images > lights * config.views_per_model:
        raise ConfigError(
            f"{images:.0f} renders of one model are asked for, but synthesis.generators.renders allows "
            f"{config.views_per_model} views of it with {config.lights_per_view} lights each: raise views_per_model or "
            "lights_per_view"
        )
    return config.model_copy(update={"lights_per_view": lights})


def _in_turn(bodies: Mapping[str, list[Body]], views: Mapping[str, int]) -> tuple[Body, ...]:
    """The bodies, one for each view: class by class, each class's own in turn, until each class has its views."""
    turns = range(max(views.values()))
    return tuple(bodies[label][turn % len(bodies[label])] for turn in turns for label in bodies if turn < views[label])

"""Makes the transfers of views: paths are traced once, without light, and remember which lights they would see.

A model's scene is built once for all its views. Equal arguments give equal bits on one backend and kind of processor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from components.core.digests import digest_json
from components.core.errors import ConfigError
from components.synthesis.renders.assembly import assemble
from components.synthesis.renders.backends import Backend, choose_backend
from components.synthesis.renders.basis import render_basis
from components.synthesis.renders.lanes import Stage
from components.synthesis.renders.models import Model
from components.synthesis.renders.scenes import build_scene
from components.synthesis.renders.transfers import Tracing, Transfer, View

TRACER_VERSION = 1


def trace_views(
    model: Model, views: Sequence[View], tracing: Tracing, *, backend: Backend | None = None
) -> Iterator[Transfer]:
    """The transfers of several views of a model, one after the other; ConfigError for one out of range."""
    backend = backend or choose_backend()
    for view in views:
        _check(model, view, tracing)
    backend.activate()
    scene = build_scene(model) if backend.name != "scalar" else None
    for view in views:
        digest = transfer_digest(model, view, tracing, backend=backend)
        if scene is None:
            yield render_basis(model, view, tracing, digest=digest)
        else:
            backend.activate()  # somebody else may have used Mitsuba since
            yield assemble(model, _stage(scene, model, view, tracing), digest=digest)


def transfer_digest(model: Model, view: View, tracing: Tracing, *, backend: Backend) -> str:
    """The digest of everything that decides a transfer's bits, but for the kind of processor."""
    made_from = {
        "model": model.digest,
        "view": asdict(view),
        "tracing": asdict(tracing),
        "backend": backend.name,
        "tracer_version": TRACER_VERSION,
    }
    return digest_json(made_from)


def _check(model: Model, view: View, tracing: Tracing) -> None:
    if not (8 <= tracing.size_px <= 2048 and 1 <= tracing.num_paths <= 3072 and 1 <= tracing.max_bounces <= 15):
        raise ConfigError(
            f"a tracing takes a size of 8 to 2048 px, 1 to 3072 paths and 1 to 15 bounces, got {tracing}; change it"
        )
    if tracing.ground_albedo is not None and not 0 <= tracing.ground_albedo <= 1:
        raise ConfigError(f"ground_albedo is {tracing.ground_albedo}, allowed is None or 0 to 1")
    if not (view.distance_m > model.radius_m and 4 <= view.focal_mm <= 2000 and abs(view.elevation_deg) <= 90):
        raise ConfigError(
            f"a view of {model.name} stands over {model.radius_m:.3g} m away (out of the object), at an elevation of "
            f"-90 to 90 degrees, with a focal length of 4 to 2000 mm; got {view}"
        )


def _stage(scene: Any, model: Model, view: View, tracing: Tracing) -> Stage:
    middle = (0.0, 0.0, model.size_m[2] / 2)
    return Stage(scene=scene, view=view, tracing=tracing, middle_m=middle, radius_m=model.radius_m)

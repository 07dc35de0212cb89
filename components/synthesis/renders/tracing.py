"""Makes the transfer of a view: paths are traced once, without light, and remember which lights they would see.

`trace_views` builds a model's scene once for all its views. The reference it is measured against, ordinary path
tracing of the same scene under one light, is `direct_render`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.digests import digest_json
from components.core.errors import ConfigError
from components.synthesis.light.lobes import NUM_LOBES
from components.synthesis.renders.assembly import assemble
from components.synthesis.renders.backends import Backend, choose_backend
from components.synthesis.renders.basis import render_basis
from components.synthesis.renders.lanes import Stage
from components.synthesis.renders.models import Model
from components.synthesis.renders.scenes import build_scene, sensor, sky, suns
from components.synthesis.renders.transfers import Tracing, Transfer, View

TRACER_VERSION = 1
_PATHS_A_PASS = 64


def trace_view(model: Model, view: View, tracing: Tracing, *, backend: Backend | None = None) -> Transfer:
    """The transfer of one view; equal arguments give equal bits on one backend and kind of processor.

    ConfigError for a tracing or view out of range.
    """
    return next(trace_views(model, [view], tracing, backend=backend))


def trace_views(
    model: Model, views: Sequence[View], tracing: Tracing, *, backend: Backend | None = None
) -> Iterator[Transfer]:
    """The transfers of several views of a model, one after the other, with its scene built once."""
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


def direct_render(
    model: Model, view: View, lights: NDArray[np.floating], tracing: Tracing, *, backend: Backend | None = None
) -> NDArray[np.float32]:
    """Path-trace the model under `lights` (NUM_LIGHTS, 3) as Mitsuba does: (H, W, 4) linear, premultiplied.

    The number of paths is not always kept: over 64 it is rounded up to a multiple of 64, below that to the next
    number that the sampler can deal out in rows and columns (50 to 56). ConfigError for a grey ground, which only
    transfers know.
    """
    import mitsuba as mi

    _check(model, view, tracing)
    if tracing.ground_albedo is not None:
        raise ConfigError("direct_render knows no ground; give a tracing with ground_albedo None")
    backend = backend or choose_backend()
    backend.activate()
    passes = -(-tracing.num_paths // _PATHS_A_PASS)
    per_pass = min(tracing.num_paths, _PATHS_A_PASS)
    extra = {
        "integrator": {
            "type": "path",
            "max_depth": tracing.max_bounces + 1,
            "rr_depth": 1000,
            "hide_emitters": True,
        },
        "sensor": sensor(model, view, size_px=tracing.size_px, num_paths=per_pass),
        "sky": sky(np.asarray(lights)[:NUM_LOBES]),
        **suns(model, np.asarray(lights)[NUM_LOBES:]),
    }
    scene = build_scene(model, extra)
    total = np.zeros((tracing.size_px, tracing.size_px, 4), np.float64)
    for number in range(passes):
        total += np.asarray(mi.render(scene, seed=mi.UInt32((tracing.seed + 7919 * number) % 2**32)), np.float64)
    return (total / passes).astype(np.float32)


def relit(transfer: Transfer, lights: NDArray[np.floating]) -> NDArray[np.float32]:
    """The view under `lights` (NUM_LIGHTS, 3): (H, W, 4) linear, premultiplied. One image, for checks and looks."""
    picture = np.zeros((transfer.size_px**2, 4), np.float32)
    response = transfer.response.astype(np.float32)
    for channel in range(3):
        picture[transfer.pixels, channel] = response[..., channel] @ np.asarray(lights, np.float32)[:, channel]
    picture[:, 3] = transfer.alpha.reshape(-1)
    return picture.reshape(transfer.size_px, transfer.size_px, 4)


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

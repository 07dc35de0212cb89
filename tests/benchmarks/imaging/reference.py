"""What relighting is checked against: one view traced alone, lit alone, and path-traced as Mitsuba does it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from components.synthesis.builtin.parts import Finish, Part
from components.synthesis.light.lobes import NUM_LOBES
from components.synthesis.renders.backends import Backend, choose_backend
from components.synthesis.renders.models import Material, Model, Surface, linear_from_srgb, stand
from components.synthesis.renders.scenes import build_scene, sensor, sky, suns
from components.synthesis.renders.tracing import trace_views
from components.synthesis.renders.transfers import Tracing, Transfer, View

_PATHS_A_PASS = 64


def trace_view(model: Model, view: View, tracing: Tracing, *, backend: Backend | None = None) -> Transfer:
    """The transfer of one view."""
    return next(trace_views(model, [view], tracing, backend=backend))


def direct_render(
    model: Model, view: View, lights: NDArray[np.floating], tracing: Tracing, *, backend: Backend | None = None
) -> NDArray[np.float32]:
    """Path-trace the model under `lights` (NUM_LIGHTS, 3) as Mitsuba does: (H, W, 4) linear, premultiplied.

    The number of paths is not always kept: over 64 it is rounded up to a multiple of 64, below that to the next
    number that the sampler can deal out in rows and columns (50 to 56). A grey ground is not known here.
    """
    import mitsuba as mi

    assert tracing.ground_albedo is None, "only transfers know a ground"
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


def model_from_parts(parts: Sequence[Part], *, name: str, longest_m: float | None = None) -> Model:
    """A built-in product as a Model: one surface a finish, true colours kept."""
    finishes = list(dict.fromkeys(part.finish for part in parts))
    return stand([_surface(parts, finish) for finish in finishes], name=name, longest_m=longest_m)


def _surface(parts: Sequence[Part], finish: Finish) -> Surface:
    same = [part for part in parts if part.finish == finish]
    offsets = np.cumsum([0, *[len(part.vertices) for part in same[:-1]]])
    red, green, blue = linear_from_srgb(np.asarray(finish.colour)).tolist()
    return Surface(
        vertices=np.concatenate([part.vertices for part in same]),
        normals=np.concatenate([part.normals for part in same]),
        faces=np.concatenate([p.faces + o for p, o in zip(same, offsets, strict=True)]).astype(np.int32),
        material=Material(base_colour=(red, green, blue), roughness=finish.roughness),
    )

"""Makes a transfer with Mitsuba's plain scalar variant: one small picture for every light, one after the other.

Some 80 times slower than a wavefront, but it needs nothing that might not be there. Each light is sampled for
itself, so that an eighth of the paths gives like noise. The grey floor is beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.errors import UnavailableError
from components.core.progress import track
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, ground_irradiance
from components.synthesis.renders.assembly import ground_candidates
from components.synthesis.renders.models import Model
from components.synthesis.renders.scenes import build_scene, floor, sensor, sky, suns
from components.synthesis.renders.transfers import Tracing, Transfer, View

_PATHS_A_LIGHT = 1 / 8
_GROUND_RADII = 12.0
_FAINTEST_SHADOW = 0.02  # above this method's noise

Picture = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What is rendered, and the pictures' window, from the first to past the last row and column."""

    model: Model
    view: View
    tracing: Tracing
    window: tuple[int, int, int, int]

    @property
    def num_paths(self) -> int:
        return max(4, round(self.tracing.num_paths * _PATHS_A_LIGHT))

    def camera(self, num_paths: int) -> dict[str, Any]:
        """The view's sensor, cropped to the window."""
        top, left, bottom, right = self.window
        found = sensor(self.model, self.view, size_px=self.tracing.size_px, num_paths=num_paths)
        found["film"] |= {
            "crop_offset_x": left,
            "crop_offset_y": top,
            "crop_width": right - left,
            "crop_height": bottom - top,
        }
        return found

    def spread(self, picture: Picture) -> Picture:
        """A picture of the window as one of the whole frame."""
        top, left, bottom, right = self.window
        whole = np.zeros((self.tracing.size_px, self.tracing.size_px, picture.shape[-1]))
        whole[top:bottom, left:right] = picture
        return whole


def render_basis(model: Model, view: View, tracing: Tracing, *, digest: str) -> Transfer:
    """The transfer of one view; the scalar variant must be active. UnavailableError for a grey floor."""
    if tracing.ground_albedo is not None:
        raise UnavailableError("the scalar backend knows no grey floor; leave ground_albedo None, or install LLVM 19")
    size = tracing.size_px
    whole = _Job(model=model, view=view, tracing=tracing, window=(0, 0, size, size))
    alpha, depth, normals = _shape(whole)
    rows, columns = np.flatnonzero(alpha.any(axis=1)), np.flatnonzero(alpha.any(axis=0))
    pixels = np.flatnonzero(alpha).astype(np.int32)
    response = np.zeros((len(pixels), NUM_LIGHTS, 3), np.float16)
    if len(pixels):
        window = (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)
        job = _Job(model=model, view=view, tracing=tracing, window=window)
        for light, picture in _lit(job, range(NUM_LIGHTS), on_floor=False):
            response[:, light] = job.spread(picture)[..., :3].reshape(-1, 3)[pixels]
    ground_pixels, ground = _ground(whole, alpha)
    return Transfer(
        size_px=size,
        view=view,
        pixels=pixels,
        response=response,
        alpha=alpha.astype(np.float16),
        depth=depth.astype(np.float16),
        normals=normals.astype(np.float16),
        ground_pixels=ground_pixels,
        ground=ground,
        open_ground=ground_irradiance().astype(np.float32),
        height_m=model.size_m[2],
        digest=digest,
    )


def _shape(job: _Job) -> tuple[Picture, Picture, Picture]:
    """Coverage and depth (H, W) and normals (H, W, 3)."""
    import mitsuba as mi

    num_paths = min(256, max(16, job.tracing.num_paths))
    integrator = {
        "type": "aov",
        "aovs": "place:position,normal:sh_normal",
        "picture": {"type": "path", "max_depth": 2, "hide_emitters": True},
    }
    scene = build_scene(
        job.model,
        {"integrator": integrator, "sensor": job.camera(num_paths), "sky": sky(np.zeros((NUM_LOBES, 3)))},
    )
    found = np.asarray(mi.render(scene, seed=mi.UInt32(job.tracing.seed % 2**32)), np.float64)
    alpha = found[..., 3].clip(0, 1)
    covered = alpha > 0
    origin = np.array([0.0, 0.0, job.model.size_m[2] / 2]) + job.view.toward * job.view.distance_m
    places = found[..., 4:7] / np.maximum(alpha, 1e-6)[..., None]
    forward = job.view.frame[2]
    normals = found[..., 7:10]
    normals = normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-6)
    away = ((normals * (places - origin)).sum(axis=-1) > 0)[..., None]
    return alpha, np.where(covered, (places - origin) @ forward, 0.0), np.where(away, -normals, normals)


def _lit(job: _Job, lights: range, *, on_floor: bool) -> Any:
    """Yield (light, picture of the window) under one unit of each light, of the object or of its shadow."""
    import mitsuba as mi

    integrator = {
        "type": "path",
        "max_depth": 2 if on_floor else job.tracing.max_bounces + 1,
        "rr_depth": 1000,
        "hide_emitters": True,
    }
    base = {"integrator": integrator, "sensor": job.camera(job.num_paths)} | (
        {"floor": floor(job.model)} if on_floor else {}
    )
    bare = ground_irradiance()
    scene = build_scene(job.model, base | {"sky": sky(np.ones((NUM_LOBES, 3)))}, black=on_floor)
    entries = mi.traverse(scene)
    for light in track(lights, "Rendering lights one by one"):
        if on_floor and bare[light] <= 0:
            continue
        coefficients = np.zeros((NUM_LIGHTS, 3))
        coefficients[light] = 1.0
        if light < NUM_LOBES:
            entries["sky.data"] = mi.TensorXf(_extended(sky(coefficients)["bitmap"]))
            entries.update()
        else:
            scene = build_scene(job.model, base | suns(job.model, coefficients[NUM_LOBES:]), black=on_floor)
        seed = (job.tracing.seed + 7919 * (light + 1)) % 2**32
        yield light, np.asarray(mi.render(scene, seed=mi.UInt32(seed)), np.float64)


def _extended(bitmap: Any) -> NDArray[np.float32]:
    """The pixels of an environment as the plugin keeps them: wrapped by a column on either side."""
    return np.pad(np.asarray(bitmap, np.float32), ((0, 0), (1, 1), (0, 0)), mode="wrap")


def _ground(job: _Job, alpha: Picture) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    candidates = ground_candidates(
        job.view, job.tracing.size_px, job.model.size_m[2] / 2, _GROUND_RADII * job.model.radius_m
    )
    open_share = 1 - alpha.reshape(-1)[candidates]
    candidates, open_share = candidates[open_share > 0.1], open_share[open_share > 0.1]
    bare = ground_irradiance()
    irradiance = np.broadcast_to(bare, (len(candidates), NUM_LIGHTS)).copy()
    if len(candidates):
        for light, picture in _lit(job, range(NUM_LIGHTS), on_floor=True):
            irradiance[:, light] = picture[..., 0].reshape(-1)[candidates] / open_share * np.pi
    irradiance = irradiance.clip(0, bare)
    shaded = (irradiance[:, :NUM_LOBES].sum(axis=1) < bare[:NUM_LOBES].sum() * (1 - _FAINTEST_SHADOW)) | (
        irradiance[:, NUM_LOBES:] < bare[NUM_LOBES:] * (1 - _FAINTEST_SHADOW)
    ).any(axis=1)
    return candidates[shaded], irradiance[shaded].astype(np.float16)

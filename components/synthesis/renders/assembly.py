"""Puts a transfer together from the sums that a wavefront leaves: light, shape, and the shadow on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, ground_irradiance
from components.synthesis.renders.lanes import Stage
from components.synthesis.renders.models import Model
from components.synthesis.renders.smoothing import Guides, smoothed
from components.synthesis.renders.transfers import Transfer, View
from components.synthesis.renders.wavefront import (
    LIGHT_UNIT,
    MAX_PIXELS,
    NUM_SHAPE_SUMS,
    NUM_SUMS,
    SHAPE_UNIT,
    Sums,
    depth_range,
    touched_pixels,
    trace_ground,
    trace_object,
)

_GROUND_RADII = 12.0  # shadows are looked for this far from the object
_FAINTEST_SHADOW = 1 / 255
_PLANE_RADII = 0.02
_SMOOTHING_PX = 3


def assemble(model: Model, stage: Stage, *, digest: str) -> Transfer:
    """Trace a stage and return its transfer; only sunlight by way of other surfaces is smoothed."""
    light, shape, pixels = _object_sums(stage)
    alpha = shape[:, 0] / stage.num_samples
    means = shape[:, 1:] / SHAPE_UNIT / shape[:, :1]
    nearest, span = depth_range(stage)
    depth = nearest + means[:, 0] * span
    normals = means[:, 1:4] * 2 - 1
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    response = light.astype(np.float32) / np.float32(LIGHT_UNIT)
    guides = Guides(
        size_px=stage.tracing.size_px,
        pixels=pixels,
        places=_places(stage, pixels, depth),
        normals=normals.astype(np.float32),
        albedo=(means[:, 4:] * alpha[:, None]).astype(np.float32),
        step_m=_PLANE_RADII * stage.radius_m,
    )
    indirect = smoothed(response[:, NUM_LIGHTS:], guides, reach_px=_SMOOTHING_PX)
    response[:, NUM_LOBES:NUM_LIGHTS] += indirect
    coverage = _spread(stage, pixels, alpha)
    ground_pixels, ground = _ground(stage, coverage)
    return Transfer(
        size_px=stage.tracing.size_px,
        view=stage.view,
        pixels=pixels,
        response=response[:, :NUM_LIGHTS].astype(np.float16),
        alpha=coverage,
        depth=_spread(stage, pixels, depth),
        normals=_spread(stage, pixels, normals),
        ground_pixels=ground_pixels,
        ground=ground,
        open_ground=ground_irradiance().astype(np.float32),
        height_m=model.size_m[2],
        digest=digest,
    )


def _object_sums(stage: Stage) -> tuple[Sums, Sums, NDArray[np.int32]]:
    """Sums of light and shape of the pixels (P,) that the object covers at all."""
    touched = touched_pixels(stage)
    lights, shapes = [np.zeros((0, NUM_SUMS, 3), np.uint32)], [np.zeros((0, NUM_SHAPE_SUMS), np.uint32)]
    for start in range(0, len(touched), MAX_PIXELS):
        light, shape = trace_object(stage, touched[start : start + MAX_PIXELS])
        lights.append(light)
        shapes.append(shape)
    shape = np.concatenate(shapes)
    covered = shape[:, 0] > 0
    return np.concatenate(lights)[covered], shape[covered], touched[covered]


def _places(stage: Stage, pixels: NDArray[np.int32], depth: NDArray[np.float64]) -> NDArray[np.float32]:
    """Where the surface of each pixel lies, from the camera, in world axes."""
    size, view = stage.tracing.size_px, stage.view
    reach = np.tan(np.radians(view.fov_deg / 2))
    row, column = np.divmod(pixels, size)
    x, y = ((column + 0.5) / size * 2 - 1) * reach, (1 - (row + 0.5) / size * 2) * reach
    right, up, forward = view.frame
    return np.asarray(depth[:, None] * (forward + x[:, None] * right + y[:, None] * up), np.float32)


def _spread(stage: Stage, pixels: NDArray[np.int32], values: NDArray[np.float64]) -> NDArray[np.float16]:
    """Values (P, ...) of some pixels as a picture (H, W, ...), 0 elsewhere."""
    size = stage.tracing.size_px
    picture = np.zeros((size * size, *values.shape[1:]), np.float16)
    picture[pixels] = values
    return picture.reshape(size, size, *values.shape[1:])


def _ground(stage: Stage, alpha: NDArray[np.float16]) -> tuple[NDArray[np.int32], NDArray[np.float16]]:
    """The ground's pixels that the object shades, and the irradiance that is left there."""
    candidates = ground_candidates(stage.view, stage.tracing.size_px, stage.middle_m[2], _GROUND_RADII * stage.radius_m)
    candidates = candidates[alpha.reshape(-1)[candidates] < 1]
    pixels, remaining = [np.zeros(0, np.int32)], [np.zeros((0, NUM_LIGHTS), np.float16)]
    bare = ground_irradiance()
    for start in range(0, len(candidates), MAX_PIXELS):
        part = candidates[start : start + MAX_PIXELS]
        sums, counts = trace_ground(stage, part)
        per_light = np.concatenate([np.repeat(counts.sum(axis=1, keepdims=True), NUM_LOBES, axis=1), counts], axis=1)
        blocked = sums / LIGHT_UNIT / np.maximum(per_light, 1)
        shaded = (blocked[:, :NUM_LOBES].sum(axis=1) > _FAINTEST_SHADOW * np.pi) | (
            blocked[:, NUM_LOBES:] > _FAINTEST_SHADOW * bare[NUM_LOBES:]
        ).any(axis=1)
        pixels.append(part[shaded])
        remaining.append((bare - blocked[shaded]).clip(0).astype(np.float16))
    return np.concatenate(pixels), np.concatenate(remaining)


def ground_candidates(view: View, size_px: int, middle_m: float, reach_m: float) -> NDArray[np.int32]:
    """Flat indices of the pixels whose middle shows ground within `reach_m` of the origin."""
    places = ((np.arange(size_px) + 0.5) / size_px * 2 - 1) * np.tan(np.radians(view.fov_deg / 2))
    right, up, forward = view.frame
    rays = forward + places[None, :, None] * right - places[:, None, None] * up
    origin = np.array([0.0, 0.0, middle_m]) + view.toward * view.distance_m
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = -origin[2] / rays[..., 2]
        points = origin + rays * distance[..., None]
    near = (distance > 0) & (rays[..., 2] < 0) & (np.hypot(points[..., 0], points[..., 1]) < reach_m)
    return np.flatnonzero(near.reshape(-1)).astype(np.int32)

"""Traces all paths of a view at once, without light, and adds up where each one ends: Dr.Jit's LLVM and CUDA.

A path that leaves the scene adds its throughput to the four lobes around its direction; suns are asked for at
every bounce. Each pixel's samples are an Owen-scrambled Sobol net (Burley, "Practical Hash-based Owen
Scrambling", 2020). Sums are whole numbers, so that they do not depend on the order in which threads add.
Sizes and seeds are opaque to the compiler: one kernel serves all views.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, NUM_SUNS
from components.synthesis.renders.lanes import Lanes, Stage, constant, lobes_around

LIGHT_UNIT = 2**22  # one unit of light in the integer sums: up to 1,024 of them fit
SHAPE_UNIT = 2**16  # one unit of depth or of a normal's component
_MAX_SAMPLE = 256.0  # a single path's share; above it, highlights would overflow the sums
MAX_PIXELS = 8192  # traced at once
NUM_SUMS = NUM_LIGHTS + NUM_SUNS  # sunlight by way of other surfaces is summed apart
_SUNS_A_BOUNCE = 4
NUM_SHAPE_SUMS = 8  # coverage, depth, normal, albedo

Sums = NDArray[np.uint32]
_Suns = list[tuple[Any, Any, float]]


def touched_pixels(stage: Stage) -> NDArray[np.int32]:
    """Flat indices of the pixels whose 16 samples, or those of a neighbour, meet the object."""
    import drjit as dr
    import mitsuba as mi

    size = stage.tracing.size_px
    lanes = Lanes(stage, np.arange(size * size, dtype=np.uint32), 16)
    ray = lanes.camera_ray(lanes.place_in_pixel())
    met = dr.zeros(mi.UInt32, size * size)
    dr.scatter_add(met, mi.UInt32(1), lanes.slot, stage.scene.ray_test(ray, True))
    hit = met.numpy().reshape(size, size) > 0
    wide = np.pad(hit, 1)
    near = np.logical_or.reduce([wide[y : y + size, x : x + size] for y in range(3) for x in range(3)])
    return np.flatnonzero(near).astype(np.int32)


def trace_object(stage: Stage, pixels: NDArray[np.int32]) -> tuple[Sums, Sums]:
    """Sums of light (P, NUM_SUMS, 3) and of coverage, depth, normals and albedo (P, 8) over a pixel's samples.

    At most MAX_PIXELS at once: the sums have one fixed size, which the compiler may then know.
    """
    import drjit as dr
    import mitsuba as mi

    assert len(pixels) <= MAX_PIXELS, f"{len(pixels)} pixels are traced at once, the sums have room for {MAX_PIXELS}"
    light = dr.zeros(mi.UInt32, MAX_PIXELS * NUM_SUMS * 3)
    shape = dr.zeros(mi.UInt32, MAX_PIXELS * NUM_SHAPE_SUMS)
    paths = _start(Lanes(stage, pixels.astype(np.uint32), stage.num_samples), light, shape)
    for bounce in range(stage.tracing.max_bounces):
        _bounce(paths, bounce)
        paths.drop_ended()
        if not dr.width(paths.lanes.slot):
            break
    else:
        _escape(paths, ~stage.scene.ray_test(paths.ray))
    dr.eval(light, shape)
    lights = light.numpy().reshape(-1, NUM_SUMS, 3)
    return lights[: len(pixels)], shape.numpy().reshape(-1, NUM_SHAPE_SUMS)[: len(pixels)]


def trace_ground(stage: Stage, pixels: NDArray[np.int32]) -> tuple[Sums, Sums]:
    """Sums (Q, NUM_LIGHTS) of the irradiance that the object keeps from the ground, and (Q, NUM_SUNS) of samples."""
    import drjit as dr
    import mitsuba as mi

    lanes = Lanes(stage, pixels.astype(np.uint32), stage.num_samples)
    blocked = dr.zeros(mi.UInt32, MAX_PIXELS * NUM_LIGHTS)
    counts = dr.zeros(mi.UInt32, MAX_PIXELS * NUM_SUNS)
    ray = lanes.camera_ray(lanes.place_in_pixel())
    distance = -ray.o.z / ray.d.z
    ray.maxt = distance
    seen = (ray.d.z < 0) & (ray.o.z > 0) & ~stage.scene.ray_test(ray, True)
    point = ray(distance)
    point.z = dr.opaque(mi.Float, 1e-5 * stage.radius_m)
    place = lanes.slot * NUM_SUNS + lanes.sun
    dr.scatter_add(counts, mi.UInt32(1), place, seen)
    local = mi.warp.square_to_cosine_hemisphere(lanes.pair(dr.opaque(mi.UInt32, 1)))
    dark = seen & stage.scene.ray_test(mi.Ray3f(point, mi.Vector3f(local)), seen)
    for index, weight in lobes_around(local):
        _add(blocked, lanes.slot * NUM_LIGHTS + index, weight * np.pi, dark)
    toward = lanes.sun_direction(lanes.sun, lanes.pair(dr.opaque(mi.UInt32, 2)))
    dark = seen & stage.scene.ray_test(mi.Ray3f(point, toward), seen)
    _add(blocked, lanes.slot * NUM_LIGHTS + NUM_LOBES + lanes.sun, toward.z, dark)
    dr.eval(blocked, counts)
    sums, samples = blocked.numpy().reshape(-1, NUM_LIGHTS), counts.numpy().reshape(-1, NUM_SUNS)
    return sums[: len(pixels)], samples[: len(pixels)]


class _Paths:
    """All paths that are on their way: the next ray of each and its throughput, and the sums they add to."""

    def __init__(self, *, lanes: Lanes, ray: Any, light: Any, shape: Any) -> None:
        import drjit as dr
        import mitsuba as mi

        self.lanes, self.ray, self.light, self.shape = lanes, ray, light, shape
        self.throughput = mi.Color3f(1.0)
        self.active = dr.full(mi.Bool, True, dr.width(lanes.slot))
        self.met = dr.full(mi.Bool, False, dr.width(lanes.slot))

    def add(self, light: Any, value: Any, active: Any) -> None:
        """Add a colour to one light's sum in each lane's pixel."""
        place = (self.lanes.slot * NUM_SUMS + light) * 3
        for channel in range(3):
            _add(self.light, place + channel, value[channel] * self.lanes.share, active)

    def drop_ended(self) -> None:
        """Evaluate, then go on with the paths that are still active: most end after one bounce."""
        import drjit as dr
        import mitsuba as mi

        origin, way, through = self.ray.o, self.ray.d, self.throughput
        dr.eval(origin, way, through, self.active, self.met, self.light, self.shape, self.lanes.slot, self.lanes.sample)
        chosen: Any = dr.compress(self.active)
        self.lanes.keep(chosen)
        self.ray = mi.Ray3f(dr.gather(mi.Point3f, origin, chosen), dr.gather(mi.Vector3f, way, chosen))
        self.throughput = dr.gather(mi.Color3f, through, chosen)
        self.met = dr.gather(mi.Bool, self.met, chosen)
        self.active = dr.full(mi.Bool, True, dr.width(chosen))


def _start(lanes: Lanes, light: Any, shape: Any) -> _Paths:
    return _Paths(lanes=lanes, ray=lanes.camera_ray(lanes.place_in_pixel()), light=light, shape=shape)


def _bounce(paths: _Paths, bounce: int) -> None:
    """Follow all rays to the next surface, ask one sun for its light there, and scatter."""
    import drjit as dr
    import mitsuba as mi

    lanes, scene = paths.lanes, paths.lanes.stage.scene
    step = dr.opaque(mi.UInt32, 4 * bounce + 1)  # all bounces but the first share a kernel
    surface = scene.ray_intersect(paths.ray, mi.RayFlags.All, bounce == 0, paths.active)
    floor = _floor_ahead(paths, surface, bounce)
    valid = surface.is_valid() & paths.active & ~floor
    if bounce:
        _escape(paths, ~surface.is_valid() & ~floor)
    context, bsdf = mi.BSDFContext(), surface.bsdf(paths.ray)
    one = lanes.pair(step)
    sampled = _suns_of(lanes, bounce, one.y, lanes.pair(step + 1))
    for sun, toward, weight in sampled:
        reflected = bsdf.eval(context, surface, surface.to_local(toward), valid)
        wanted = valid & (dr.max(reflected) > 0)
        clear = wanted & ~scene.ray_test(surface.spawn_ray(toward), wanted)
        slot = sun + (NUM_LOBES if bounce == 0 else NUM_LIGHTS)
        paths.add(slot, paths.throughput * reflected * weight, clear)
    way = lanes.pair(step + 2)
    sample, weight = bsdf.sample(context, surface, one.x, way, valid)
    solid = valid & ~mi.has_flag(sample.sampled_type, mi.BSDFFlags.Null)
    if bounce == 0:
        _note_shape(paths, surface, solid, bsdf.eval_diffuse_reflectance(surface, solid))
    paths.met |= solid
    following = surface.spawn_ray(surface.to_world(sample.wo))
    throughput = paths.throughput * weight
    paths.active = valid & (dr.max(throughput) > 0)
    if lanes.stage.tracing.ground_albedo is not None and bounce:
        reflected_ray, reflected_share = _floor_bounce(paths, floor, way, sampled)
        following = dr.select(floor, reflected_ray, following)
        throughput = dr.select(floor, reflected_share, throughput)
        paths.active |= floor & (dr.max(throughput) > 0)
    paths.throughput, paths.ray = throughput, following


def _suns_of(lanes: Lanes, bounce: int, choice: Any, place: Any) -> _Suns:
    """The suns to ask at a bounce, each with a direction within its disc and the weight of its answer.

    The camera's own rays take theirs by block of samples, later ones one sun of every group at random.
    """
    import drjit as dr
    import mitsuba as mi

    if bounce == 0:
        return [(lanes.sun, lanes.sun_direction(lanes.sun, place), float(NUM_SUNS))]
    group = NUM_SUNS // _SUNS_A_BOUNCE
    first = dr.minimum(mi.UInt32(choice * group), group - 1)
    chosen = [first * _SUNS_A_BOUNCE + number for number in range(_SUNS_A_BOUNCE)]
    return [(sun, lanes.sun_direction(sun, place), float(group)) for sun in chosen]


def _floor_ahead(paths: _Paths, surface: Any, bounce: int) -> Any:
    """Where a ray meets the grey floor before the object; the camera sees through the floor."""
    import drjit as dr
    import mitsuba as mi

    if paths.lanes.stage.tracing.ground_albedo is None or bounce == 0:
        return mi.Bool(False)
    ray = paths.ray
    return paths.active & (ray.d.z < 0) & (-ray.o.z / ray.d.z < dr.select(surface.is_valid(), surface.t, dr.inf))


def _floor_bounce(paths: _Paths, floor: Any, way: Any, sampled: _Suns) -> tuple[Any, Any]:
    """Scatter from the floor, after its own sunlight is added; rays from under it end there."""
    import drjit as dr
    import mitsuba as mi

    lanes = paths.lanes
    albedo: Any = dr.opaque(mi.Float, float(lanes.stage.tracing.ground_albedo or 0.0))
    distance = -paths.ray.o.z / paths.ray.d.z
    point = paths.ray(distance)
    point.z = dr.opaque(mi.Float, 1e-5 * lanes.stage.radius_m)
    above = floor & (distance > 0)
    share: Any = dr.select(above, paths.throughput * albedo, 0.0)
    for sun, toward, weight in sampled:
        clear = above & ~lanes.stage.scene.ray_test(mi.Ray3f(point, toward), above)
        paths.add(sun + NUM_LIGHTS, share * toward.z * (weight / np.pi), clear)
    return mi.Ray3f(point, mi.Vector3f(mi.warp.square_to_cosine_hemisphere(way))), share


def _escape(paths: _Paths, gone: Any) -> None:
    """Add the paths that leave, having met the object, to the four lobes around their direction."""
    gone = gone & paths.active & paths.met
    if paths.lanes.stage.tracing.ground_albedo is not None:
        gone &= paths.ray.d.z > 0
    for index, weight in lobes_around(paths.ray.d):
        paths.add(index, paths.throughput * weight, gone)


def _note_shape(paths: _Paths, surface: Any, solid: Any, albedo: Any) -> None:
    """Add coverage, depth (0..1 over the model's depth range) and the normal that faces the camera."""
    import drjit as dr
    import mitsuba as mi

    stage = paths.lanes.stage
    forward = constant(stage.view.frame[2])
    origin = np.asarray(stage.middle_m) + stage.view.toward * stage.view.distance_m
    nearest, span = (dr.opaque(mi.Float, bound) for bound in depth_range(stage))
    depth = (dr.dot(surface.p - mi.Point3f(constant(origin)), forward) - nearest) / span
    normal = surface.sh_frame.n
    normal = dr.select(dr.dot(normal, paths.ray.d) > 0, -normal, normal)
    place = paths.lanes.slot * NUM_SHAPE_SUMS
    dr.scatter_add(paths.shape, mi.UInt32(1), place, solid)
    for offset, value in enumerate(_unit_range(depth, normal, albedo)):
        dr.scatter_add(paths.shape, mi.UInt32(value * SHAPE_UNIT + 0.5), place + (offset + 1), solid)


def _unit_range(depth: Any, normal: Any, albedo: Any) -> list[Any]:
    import drjit as dr

    return [dr.clip(v, 0, 1) for v in (depth, *[(normal[c] + 1) / 2 for c in range(3)], *[albedo[c] for c in range(3)])]


def depth_range(stage: Stage) -> tuple[float, float]:
    """The nearest depth that the model can have, and how far it reaches behind it, in metres."""
    return stage.view.distance_m - stage.radius_m, 2 * stage.radius_m


def _add(sums: Any, place: Any, value: Any, active: Any) -> None:
    import drjit as dr
    import mitsuba as mi

    quanta = mi.UInt32(dr.minimum(value, _MAX_SAMPLE) * LIGHT_UNIT + 0.5)
    dr.scatter_add(sums, quanta, place, active)

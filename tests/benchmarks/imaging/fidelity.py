"""How true relit pictures are: against direct path tracing, against untruncated light, and in their energy.

Reference pictures come in two independent halves. Their difference tells the reference's own noise, and the product of
two differences tells an error without it: `E[(a1 - b1)(a2 - b2)]` is the square of what sets a and b apart, whatever
noise each picture carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.core.progress import track
from components.synthesis.light.light_sources import direction, nearest_sun
from components.synthesis.light.lighting import Light
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, panorama_directions, project, sun_directions
from components.synthesis.light.panoramas import light_from_panorama
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.models import Material, Model, Surface, stand
from components.synthesis.renders.transfers import Tracing, Transfer, View
from tests.benchmarks.figures import SHORT, Figure
from tests.benchmarks.imaging.lab import SEED, met
from tests.benchmarks.imaging.lighted import (
    KINDS,
    LEVEL,
    Array,
    DirectTracer,
    Picture,
    Subject,
    decibels,
    draw_lights,
    emitters,
    encoded,
    exact_sky,
    exact_sun,
    linear_psnr,
    psnr,
    subjects,
    touched,
)
from tests.benchmarks.imaging.reference import relit, trace_view

SIZE_PX = 128
NUM_MODELS, NUM_LIGHTS_EACH = (4, 2) if SHORT else (20, 5)
NUM_TRUNCATED = 2 if SHORT else 6
HALF_PATHS = 144 if SHORT else 576
GOAL_DB, GOAL_FURNACE, GOAL_ENERGY = 38.0, 0.01, 1.01
_SUN_HALF_ANGLE_DEG = 0.27

TRACING = Tracing(size_px=SIZE_PX, num_paths=RendersConfig().num_paths, seed=SEED)


def measure_fidelity() -> list[Figure]:
    """All figures on how true the pictures are."""
    return [*_against_direct(), *_truncation(), *_furnace()]


def _against_direct() -> Iterator[Figure]:
    """PSNR to the direct path tracer in the same light, and whether any transfer returns more light than it gets."""
    scores: list[float] = []
    linear: list[float] = []
    noise: list[float] = []
    brightness: list[float] = []
    worst, returned = "", 0.0
    for number, subject in enumerate(track(subjects(NUM_MODELS), "Tracing references", total=NUM_MODELS)):
        transfer = trace_view(subject.model, subject.view, TRACING)
        returned = max(returned, _returned(transfer))
        for kind in KINDS[:NUM_LIGHTS_EACH]:
            lights = draw_lights(kind, subject, number)
            first, second = _halves(subject, emitters(subject, lights))
            reference, picture = (first + second) / 2, relit(transfer, lights)
            scores.append(psnr(picture, reference))
            linear.append(linear_psnr(picture, reference))
            noise.append(psnr(first, second) + decibels(0.25))
            inside = touched(reference)
            brightness.append(float(picture[inside, :3].mean() / reference[inside, :3].mean()))
            if scores[-1] == min(scores):
                worst = f"{subject.model.name} in light of kind {kind}"
    told = f"lowest {min(scores):.1f} dB ({worst}); {np.mean(np.array(scores) >= GOAL_DB):.0%} reach the goal"
    what = f"{NUM_MODELS} models x {NUM_LIGHTS_EACH} lights at {SIZE_PX} px"
    yield Figure(
        name=f"relit against path-traced, PSNR on object pixels, mean of {what}, dB",
        value=mean(scores),
        goal=f">= {GOAL_DB:.0f}",
        met=met(mean(scores) >= GOAL_DB),
        spread=f"{told}; the reference's own noise {mean(noise):.1f} dB",
    )
    yield Figure(name="the lowest of them, dB", value=min(scores), spread=worst)
    yield Figure(name="the same on linear light, not clipped, mean, dB", value=mean(linear), spread=_range(linear))
    bias = max(abs(share - 1) for share in brightness)
    yield Figure(name="largest difference in mean brightness, share", value=bias, spread=_range(brightness))
    yield Figure(
        name="most light that any pixel returns of a uniform light of 1",
        value=returned,
        goal=f"<= {GOAL_ENERGY}",
        met=returned <= GOAL_ENERGY,
        spread=f"{NUM_MODELS} models",
    )


@dataclass(frozen=True, kw_only=True)
class _Sharp:
    """A light with something sharp in it: as it is, and as the basis of relighting sees it."""

    exact: Mapping[str, Any]
    lights: NDArray[np.float32]


def _truncation() -> Iterator[Figure]:
    """What the lobes and the fixed suns cost against the light itself, noise apart; references on both sides."""
    for name, sharpen in CASES.items():
        errors, linear, shifts = [], [], []
        for number, subject in enumerate(track(subjects(NUM_TRUNCATED), "Truncating light", total=NUM_TRUNCATED)):
            sharp = sharpen(subject, number)
            exact = _halves(subject, sharp.exact)
            coarse = _halves(subject, emitters(subject, sharp.lights))
            inside = touched(exact[0])
            apart = [(encoded(a) - encoded(b))[inside] for a, b in zip(exact, coarse, strict=True)]
            errors.append(decibels(float((apart[0] * apart[1]).mean())))
            plain = [(a - b)[inside][:, :3].astype(np.float64) for a, b in zip(exact, coarse, strict=True)]
            linear.append(decibels(float((plain[0] * plain[1]).mean())))
            shifts.append(float(coarse[0][inside, :3].mean() / exact[0][inside, :3].mean()))
        yield Figure(
            name=f"truncation to lobes: {name}, PSNR without noise, mean of {NUM_TRUNCATED} models, dB",
            value=mean(errors),
            spread=f"{_range(errors)}; linear {mean(linear):.1f} dB; brightness x {_range(shifts)}",
        )


def _sun(subject: Subject, number: int, *, in_basis: bool = False) -> _Sharp:
    """A sun anywhere, or where the basis has one, over a sky that fades upwards and a grey ground."""
    rng = np.random.default_rng([SEED, number, 1])
    toward = direction(subject.view.azimuth_deg + float(rng.uniform(-120, 120)), float(rng.uniform(20, 65)))
    if in_basis:
        toward = sun_directions()[nearest_sun(toward) - NUM_LOBES]
    white, blue = np.array([1.0, 0.95, 0.88]), np.array([0.45, 0.65, 1.0])

    def sky(directions: Array) -> Array:
        up = directions[:, 2:]
        return np.where(up > 0, 0.18 * blue * (1 + 1.5 * np.exp(-4 * up.clip(0))), 0.07)

    lit = np.zeros((NUM_LIGHTS, 3))
    lit[:NUM_LOBES] = project(sky)
    lit[nearest_sun(toward)] += white
    scale = _scale(lit)
    sun = exact_sun(subject, toward, white * scale, half_angle_deg=_SUN_HALF_ANGLE_DEG)
    return _Sharp(exact={**exact_sky(lambda d: sky(d) * scale), **sun}, lights=(lit * scale).astype(np.float32))


def _room(subject: Subject, number: int, *, half_angle_deg: float, radiance: float) -> _Sharp:
    """A dim room with one lamp or window, as a panorama would hold it."""
    rng = np.random.default_rng([SEED, number, 2])
    toward = direction(subject.view.azimuth_deg + float(rng.uniform(-90, 90)), float(rng.uniform(25, 60)))
    edge = np.cos(np.radians(half_angle_deg))
    warm, wall = np.array([1.0, 0.82, 0.6]), np.array([0.12, 0.11, 0.1])

    def room(directions: Array) -> Array:
        walls = wall * (1 + 0.5 * directions[:, 2:])
        inside = ((directions @ toward - edge) / (1 - edge)).clip(0, 1)[:, None]
        return walls + radiance * warm * np.minimum(inside * 4, 1)

    height = 512
    panorama = room(panorama_directions(height, 2 * height).reshape(-1, 3)).reshape(height, 2 * height, 3)
    light = light_from_panorama(panorama)
    scale = LEVEL / light.level
    return _Sharp(exact=exact_sky(lambda d: room(d) * scale, height=1024), lights=light.times(scale).coefficients)


CASES: dict[str, Callable[[Subject, int], _Sharp]] = {
    "a room with a window of 50 degrees": partial(_room, half_angle_deg=25.0, radiance=2.0),
    "a room with a lamp of 8 degrees": partial(_room, half_angle_deg=4.0, radiance=40.0),
    "a sun of 0.5 degrees where the basis has one": partial(_sun, in_basis=True),
    "a sun of 0.5 degrees anywhere": _sun,
}


def _furnace() -> Iterator[Figure]:
    """A white ball in uniform light must vanish, and in the sun it must not outshine a white sheet."""
    transfer = trace_view(*_ball(), TRACING)
    inner = transfer.alpha.reshape(-1)[transfer.pixels].astype(np.float32) > 0.999
    response = transfer.response[inner].astype(np.float64)
    uniform = response[:, :NUM_LOBES].sum(axis=1)
    yield Figure(
        name="furnace: white ball in uniform light, largest deviation of a pixel from 1",
        value=float(np.abs(uniform - 1).max()),
        goal=f"<= {GOAL_FURNACE}",
        met=bool(np.abs(uniform - 1).max() <= GOAL_FURNACE),
        spread=f"mean {uniform.mean():.4f}; {int(inner.sum())} pixels",
    )
    brightest = float((response[:, NUM_LOBES:] * np.pi).max())
    yield Figure(
        name="white ball in each of the suns: brightest pixel over a white sheet facing that sun",
        value=brightest,
        goal=f"<= {GOAL_ENERGY}",
        met=brightest <= GOAL_ENERGY,
        spread=f"{len(sun_directions())} suns",
    )


def _ball() -> tuple[Model, View]:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=5, radius=0.25)
    surface = Surface(
        vertices=np.asarray(ball.vertices, np.float32),
        normals=np.asarray(ball.vertex_normals, np.float32),
        faces=np.asarray(ball.faces, np.int32),
        material=Material(base_colour=(1.0, 1.0, 1.0), specular=False),
    )
    return stand([surface], name="white ball"), View(azimuth_deg=20, elevation_deg=25, distance_m=1.5, focal_mm=70)


def _halves(subject: Subject, lit: Mapping[str, Any]) -> tuple[Picture, Picture]:
    tracer = DirectTracer(subject, lit, size_px=SIZE_PX)
    return tracer.render(HALF_PATHS, seed=1), tracer.render(HALF_PATHS, seed=2)


def _returned(transfer: Transfer) -> float:
    """The largest share of a uniform light that comes back from a pixel which the object fills."""
    inner = transfer.alpha.reshape(-1)[transfer.pixels].astype(np.float32) > 0.999
    if not inner.any():
        return 0.0
    return float(transfer.response[inner][:, :NUM_LOBES].astype(np.float64).sum(axis=1).max())


def _scale(lit: Array) -> float:
    """What brings coefficients to LEVEL; their colours stay."""
    return LEVEL / Light(name="sharp", coefficients=lit.astype(np.float32)).level


def _range(values: list[float]) -> str:
    return f"{min(values):.2f} to {max(values):.2f}"

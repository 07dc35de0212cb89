"""Models, views and lights to measure with, Mitsuba's own path tracer beside them, and how far two pictures are apart.

Pictures are scene-linear, premultiplied RGBA (H, W, 4). Their distance is taken after sRGB encoding, as they would be
looked at, on the pixels that the object touches; a white matt ball shines with LEVEL in every light, so that neither
black nor white swallows the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.synthesis.builtin.classes import CLASSES, build
from components.synthesis.builtin.looks import Look
from components.synthesis.light.lighting import DrawnKind, LightConfig, draw_light
from components.synthesis.light.lobes import NUM_LOBES
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.renders import scenes
from components.synthesis.renders.backends import choose_backend
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.meshes import load_model_file
from components.synthesis.renders.models import Model, srgb_from_linear
from components.synthesis.renders.planning import draw_view
from components.synthesis.renders.transfers import View
from tests.benchmarks.imaging.lab import FURNITURE, SEED, furniture
from tests.benchmarks.imaging.reference import model_from_parts

KINDS: tuple[DrawnKind, ...] = ("sky", "window", "ceiling", "lamp", "mixed")
LEVEL = 0.5
MAX_BOUNCES = 5
_PATHS_A_PASS = 144  # a square, as the sampler wants

Picture = NDArray[np.float32]
Array = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model and the view of it that is measured."""

    model: Model
    view: View


def subjects(number: int) -> Iterator[Subject]:
    """Models in turn from files and from the built-in classes, each in a view drawn as a run draws them."""
    config = RendersConfig()
    for place in range(number):
        rng = np.random.default_rng([SEED, place])
        model = _model(place, rng)
        yield Subject(model=model, view=draw_view(config, FactorDraw(rng), size_m=model.size_m))


def draw_lights(kind: DrawnKind, subject: Subject, place: int) -> NDArray[np.float32]:
    """The coefficients (NUM_LIGHTS, 3) of a light of a kind."""
    factors = FactorDraw(np.random.default_rng([SEED, place, KINDS.index(kind)]))
    light = draw_light(kind, LightConfig(), factors, azimuth_deg=subject.view.azimuth_deg)
    return light.times(LEVEL).coefficients


class DirectTracer:
    """Mitsuba's path tracer on one view in one light, its scene built once."""

    def __init__(self, subject: Subject, emitters: Mapping[str, Any], *, size_px: int) -> None:
        choose_backend().activate()
        import mitsuba as mi

        mi.set_log_level(mi.LogLevel.Error)  # the sampler tells of every number of paths that is no square
        path = {"type": "path", "max_depth": MAX_BOUNCES + 1, "rr_depth": 1000, "hide_emitters": True}
        camera = scenes.sensor(subject.model, subject.view, size_px=size_px, num_paths=16)
        self._scene = scenes.build_scene(subject.model, {"integrator": path, "sensor": camera, **emitters})

    def render(self, num_paths: int, *, seed: int = 1) -> Picture:
        """The picture at so many paths a pixel."""
        import mitsuba as mi

        passes = -(-num_paths // _PATHS_A_PASS)
        share = -(-num_paths // passes)
        pictures = [mi.render(self._scene, spp=share, seed=mi.UInt32(seed * 10_007 + turn)) for turn in range(passes)]
        return np.asarray(np.mean([np.asarray(picture, np.float64) for picture in pictures], axis=0), np.float32)


def emitters(subject: Subject, lights: NDArray[np.floating]) -> dict[str, Any]:
    """Coefficients (NUM_LIGHTS, 3) as Mitsuba's emitters: the light as the transfer knows it."""
    choose_backend().activate()
    return {"sky": scenes.sky(lights[:NUM_LOBES]), **scenes.suns(subject.model, lights[NUM_LOBES:])}


def exact_sky(radiance: Callable[[Array], Array], *, height: int = 512) -> dict[str, Any]:
    """A radiance function of unit vectors (N, 3) as Mitsuba's environment, finely sampled: no lobes."""
    choose_backend().activate()
    import mitsuba as mi

    polar = np.arange(height + 1) / height * np.pi
    turn = (np.arange(2 * height) + 0.5) / height * np.pi
    flat = np.sin(polar)[:, None]
    up = np.broadcast_to(np.cos(polar)[:, None], (height + 1, 2 * height))
    directions = np.stack([flat * np.sin(turn), flat * np.cos(turn), up], axis=-1)
    pixels = radiance(directions.reshape(-1, 3)).reshape(height + 1, 2 * height, 3).astype(np.float32)
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    return {"sky": {"type": "envmap", "bitmap": mi.Bitmap(np.ascontiguousarray(pixels)), "to_world": upright}}


def exact_sun(subject: Subject, toward: Array, irradiance: Array, *, half_angle_deg: float) -> dict[str, Any]:
    """A sun in its very own direction, of the size that is asked for."""
    choose_backend().activate()
    import mitsuba as mi

    far = 1000 * subject.model.radius_m
    solid_angle = 2 * np.pi * (1 - np.cos(np.radians(half_angle_deg)))
    frame = mi.ScalarTransform4f().look_at((toward * far).tolist(), [0, 0, 0], [0.0, 1.0, 0.0])
    disc = frame @ mi.ScalarTransform4f().scale(far * float(np.tan(np.radians(half_angle_deg))))
    shine = {"type": "area", "radiance": {"type": "rgb", "value": (irradiance / solid_angle).tolist()}}
    return {"sun": {"type": "disk", "to_world": disc, "emitter": shine}}


def encoded(picture: Picture) -> Array:
    """RGB (H, W, 3) in sRGB, 0 to 1, black behind the object."""
    return srgb_from_linear(picture[..., :3])


def psnr(picture: Picture, reference: Picture) -> float:
    """Decibels on the object's pixels, after sRGB encoding, for a white of 1."""
    return decibels(float(((encoded(picture) - encoded(reference))[touched(reference)] ** 2).mean()))


def linear_psnr(picture: Picture, reference: Picture) -> float:
    """The same on scene-linear light, not clipped."""
    apart = (picture - reference)[touched(reference)][:, :3].astype(np.float64)
    return decibels(float((apart**2).mean()))


def decibels(error: float) -> float:
    """A mean squared error as decibels."""
    return float(-10 * np.log10(max(error, 1e-12)))


def touched(picture: Picture) -> NDArray[np.bool_]:
    """The pixels that the object covers at least in part (H, W)."""
    return np.asarray(picture[..., 3] > 1e-3)


def _model(place: int, rng: np.random.Generator) -> Model:
    files, builders = furniture(), list(CLASSES)
    if files and place % 5 < 3:
        return load_model_file(FURNITURE / f"{files[(place // 5 * 3 + place % 5) * 2 % len(files)]}.glb")
    label = builders[(place // 5 * 2 + place % 5) * 3 % len(builders)]
    return model_from_parts(build(label, Look(rng=rng, taste="shop")), name=label, longest_m=0.5)

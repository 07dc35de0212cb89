"""Draws the light that falls on an object: sun and sky, clouds, windows, ceiling lamps, a lamp, several at once.

A kind of light is a sum of a few physical sources, set up in directions seen from the camera. Most of its common
tint is taken away, as a camera's white balance does, and it is scaled so that a white, matt object would shine
with the stated level; so light, object and background can be mixed freely and still be exposed alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from components.core.params import Section
from components.synthesis.light.light_sources import (
    Array,
    ball_weights,
    black_body,
    direction,
    grounded,
    lamp,
    lobe_directions,
    nearest_sun,
    patch,
    room,
    spread,
    sunlight,
)
from components.synthesis.light.lobes import NUM_LIGHTS, NUM_LOBES, evaluate, lobe_solid_angles, sun_directions
from components.synthesis.picture.factors import FactorDraw

Floats = NDArray[np.float32]
Range = tuple[float, float]
DrawnKind = Literal["sky", "overcast", "window", "ceiling", "lamp", "mixed"]
LightKind = Literal["sky", "overcast", "window", "ceiling", "lamp", "mixed", "background", "panorama"]

_ADAPTATION = 0.75  # share of a light's tint that the camera's white balance takes away
_SHARES: dict[LightKind, float] = {
    "background": 0.5, "ceiling": 0.12, "window": 0.12, "mixed": 0.1, "sky": 0.08, "lamp": 0.05, "overcast": 0.03,
}  # fmt: skip


class LightConfig(Section):
    """How often each kind of light falls on a product, and from which ranges its sources are drawn."""

    shares: dict[LightKind, float] = Field(
        default_factory=lambda: dict(_SHARES),
        description="how often each kind is drawn; background fits the light to the photo behind the object",
    )
    lamp_k: Range = Field((2700.0, 6500.0), description="colour temperatures of lamps")
    sun_elevation_deg: Range = Field((8.0, 75.0), description="height of the sun")
    turbidity: Range = Field((2.0, 7.0), description="haze of the sky: 2 is clear mountain air, 7 is hazy")
    level_ev: Range = Field((-0.7, 0.7), description="stops by which the object is lit brighter than its surroundings")
    panoramas: tuple[str, ...] = Field((), description="files of lat-long pictures, .hdr or .exr, as further lights")

    @model_validator(mode="after")
    def _check(self) -> LightConfig:
        if not self.shares or min(self.shares.values()) < 0 or sum(self.shares.values()) <= 0:
            raise ValueError(f"shares must not be negative and not all be 0, got {self.shares}")
        if bool(self.panoramas) != bool(self.shares.get("panorama")):
            raise ValueError("panoramas and shares.panorama go together: name files and give them a share, or neither")
        bounds = {"lamp_k": (1700, 15000), "sun_elevation_deg": (5, 90), "turbidity": (1.8, 10), "level_ev": (-4, 4)}
        for name, (low, high) in bounds.items():
            start, stop = getattr(self, name)
            if not low <= start <= stop <= high:
                raise ValueError(f"{name} must rise and lie within [{low}, {high}], got [{start}, {stop}]")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """A light by name: coefficients (NUM_LIGHTS, 3) float32, lobes first, then suns (see `lobes.py`)."""

    name: str
    coefficients: Floats

    @property
    def level(self) -> float:
        """The radiance of a white matt ball in this light, averaged over the ball and its colours."""
        return float((ball_weights() @ self.coefficients).sum() / 3)

    def times(self, factor: float) -> Light:
        """The light, brighter by a factor."""
        return Light(name=self.name, coefficients=self.coefficients * np.float32(factor))


def draw_kind(config: LightConfig, factors: FactorDraw) -> LightKind:
    """Draw what kind of light falls on the object, as the factor `f_light`."""
    kinds = [kind for kind, share in config.shares.items() if share]
    total = sum(config.shares[kind] for kind in kinds)
    return factors.choice("light", kinds, [config.shares[kind] / total for kind in kinds])


def draw_light(kind: DrawnKind, config: LightConfig, factors: FactorDraw, *, azimuth_deg: float = 0.0) -> Light:
    """Draw a light of a kind, at level 1, for a camera that stands at `azimuth_deg` around the object.

    `f_light_azimuth_deg` is the main source's azimuth seen from the camera: 0 is in front of the object, 180
    behind it. `f_light_k` is the temperature of the sources, where they are black bodies.
    """
    build, heights, temperatures = _KINDS[kind]
    turn = azimuth_deg + factors.uniform("light_azimuth_deg", -180.0, 180.0)
    height = factors.uniform("light_elevation_deg", *(heights or config.sun_elevation_deg))
    colour = np.ones(3)
    if kind != "sky":
        colour = black_body(factors.log_uniform("light_k", *(temperatures or config.lamp_k)))
    lit = build(_Main(azimuth_deg=turn, elevation_deg=height, colour=colour), config, factors.rng)
    return Light(name=kind, coefficients=adapted(lit))


def turned(light: Light, azimuth_deg: float) -> Light:
    """The light turned about the vertical, with a camera that goes to `azimuth_deg`; its energy stays."""
    lobes, suns = light.coefficients[:NUM_LOBES], light.coefficients[NUM_LOBES:]
    moved = _turning(round(azimuth_deg)) @ lobes
    moved *= (lobe_solid_angles() @ lobes) / np.maximum(lobe_solid_angles() @ moved, 1e-12)
    lit = np.zeros_like(light.coefficients)
    lit[:NUM_LOBES] = moved
    for sun in np.flatnonzero(suns.any(axis=1)):
        lit[nearest_sun(_rotation(azimuth_deg) @ sun_directions()[sun])] += suns[sun]
    return replace(light, coefficients=lit)


def main_direction(light: Light) -> tuple[float, float]:
    """Azimuth and elevation in degrees from where, in the mean, the light comes."""
    power = light.coefficients.mean(axis=1)
    mean = (power[:NUM_LOBES] * lobe_solid_angles()) @ lobe_directions() + power[NUM_LOBES:] @ sun_directions()
    across = float(np.hypot(mean[0], mean[1]))
    return float(np.degrees(np.arctan2(mean[0], -mean[1]))), float(np.degrees(np.arctan2(mean[2], across)))


def adapted(lit: Array | Floats) -> Floats:
    """Coefficients (NUM_LIGHTS, 3) after most of their common tint is taken away, at level 1."""
    mean = np.maximum(ball_weights() @ lit, 1e-12)
    balance = mean**-_ADAPTATION
    return np.asarray(lit * (balance * (3 / (mean * balance).sum())), np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Main:
    """The main source: where it stands and its colour."""

    azimuth_deg: float
    elevation_deg: float
    colour: Array

    @property
    def toward(self) -> Array:
        return direction(self.azimuth_deg, self.elevation_deg)


def _sky(main: _Main, config: LightConfig, rng: np.random.Generator) -> Array:
    """Sun and clear sky: the lower and hazier, the redder the sun and the paler the blue."""
    turbidity = float(rng.uniform(*config.turbidity))
    sun, haze = sunlight(main.elevation_deg, turbidity), (turbidity - 2) / 6
    blue = (1 - haze) * np.array([0.32, 0.56, 1.0]) + haze * np.array([0.8, 0.9, 1.0])
    up = lobe_directions()[:, 2:]
    pale = 0.6 * np.exp(-4 * up.clip(0))
    dome = ((1 - pale) * blue + pale * (0.3 * sun + 0.7)) * (0.025 + 0.04 * haze)
    glow = spread(main.toward, 25.0)[:, None] * sun * (0.02 + 0.05 * haze)
    lit = np.zeros((NUM_LIGHTS, 3))
    lit[:NUM_LOBES] = np.where(up >= 0, dome + glow, 0)
    lit[nearest_sun(main.toward)] = sun * rng.uniform(0.4, 1.0)
    return grounded(lit, rng)


def _overcast(main: _Main, config: LightConfig, rng: np.random.Generator) -> Array:  # noqa: ARG001 - one signature
    """The CIE's overcast sky, three times as bright overhead, and a little brighter before the hidden sun."""
    up = lobe_directions()[:, 2]
    dome = (1 + 2 * up.clip(0)) / 3 + 0.6 * spread(main.toward, 40.0)
    lit = np.zeros((NUM_LIGHTS, 3))
    lit[:NUM_LOBES] = np.where(up >= 0, dome, 0)[:, None] * main.colour
    return grounded(lit, rng)


def _window(main: _Main, config: LightConfig, rng: np.random.Generator) -> Array:
    """Daylight through one or two windows of a room, sometimes with the sun in it."""
    lit = room(rng, main.colour, float(rng.uniform(0.08, 0.35)))
    width = float(rng.uniform(16, 38))
    lit += patch(main.toward, width, 1.0) * main.colour
    if rng.random() < 0.35:
        beside = direction(main.azimuth_deg + float(rng.choice([-90, 90, 180])), 15)
        lit += patch(beside, width, float(rng.uniform(0.2, 0.7))) * main.colour
    if rng.random() < 0.2:
        high = float(rng.uniform(*config.sun_elevation_deg))
        lit[nearest_sun(direction(main.azimuth_deg, high))] += sunlight(high, 3.0) * rng.uniform(0.4, 1.5)
    return lit


def _ceiling(main: _Main, config: LightConfig, rng: np.random.Generator) -> Array:  # noqa: ARG001 - one signature
    """One to four lamps above and what the room gives back."""
    lit = room(rng, main.colour, float(rng.uniform(0.12, 0.5)))
    lit += lamp(main.toward, rng, 1.0) * main.colour
    for _ in range(int(rng.integers(0, 4))):
        beside = direction(float(rng.uniform(-180, 180)), float(rng.uniform(40, 88)))
        lit += lamp(beside, rng, float(rng.uniform(0.3, 1.0))) * main.colour
    return lit


def _lamp(main: _Main, config: LightConfig, rng: np.random.Generator) -> Array:  # noqa: ARG001 - one signature
    """One lamp on a table or a stand in a dim room."""
    return room(rng, main.colour, float(rng.uniform(0.05, 0.25))) + lamp(main.toward, rng, 1.0) * main.colour


def _mixed(main: _Main, config: LightConfig, rng: np.random.Generator) -> Array:
    """Lamps above and daylight from a window at once."""
    day = _Main(
        azimuth_deg=float(rng.uniform(-180, 180)),
        elevation_deg=float(rng.uniform(3, 40)),
        colour=black_body(float(rng.uniform(5500, 9000))),
    )
    return _ceiling(main, config, rng) + _window(day, config, rng) * float(rng.uniform(0.3, 3.0))


_Builder = Callable[[_Main, LightConfig, np.random.Generator], Array]
# by kind: its builder, the heights of its main source, and its temperatures; None for those of the configuration
_KINDS: dict[DrawnKind, tuple[_Builder, Range | None, Range | None]] = {
    "sky": (_sky, None, None),
    "overcast": (_overcast, (20.0, 80.0), (6000.0, 7500.0)),
    "window": (_window, (3.0, 40.0), (5500.0, 9000.0)),
    "ceiling": (_ceiling, (45.0, 85.0), None),
    "lamp": (_lamp, (9.0, 55.0), None),
    "mixed": (_mixed, (45.0, 85.0), None),
}


@lru_cache(maxsize=360)
def _turning(azimuth_deg: int) -> Floats:
    """The matrix (NUM_LOBES, NUM_LOBES) that turns lobe coefficients about the vertical."""
    came_from = lobe_directions() @ _rotation(azimuth_deg)
    return evaluate(np.eye(NUM_LOBES), came_from).astype(np.float32)


def _rotation(azimuth_deg: float) -> Array:
    turn = np.radians(azimuth_deg)
    return np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1.0]])

"""The physical sources that lights are made of: sun, soft patches, hard lamps, rooms and the ground's bounce.

Lamps have the colour of black bodies (Kang et al., "Design of advanced color temperature control system",
2002); the sun loses to air what Rayleigh and aerosol scattering take (Angstrom's formula, air mass after Kasten).
Everything here is float64 of shape (NUM_LIGHTS, 3) or broadcasts to it: lobes first, then suns (see `lobes.py`).
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from components.synthesis.light.lobes import (
    MAP_SIDE,
    NUM_LIGHTS,
    NUM_LOBES,
    NUM_SUNS,
    ground_irradiance,
    lobe_solid_angles,
    sun_directions,
)

Array = NDArray[np.float64]

_WAVELENGTHS_UM = np.array([0.65, 0.55, 0.45])  # of red, green and blue
_LEAST_BULB_HEIGHT = 0.12  # sine of the elevation below which no sun of the basis stands


def direction(azimuth_deg: float, elevation_deg: float) -> Array:
    """The unit vector (3,) toward something at an azimuth (0 where the front camera stands) and an elevation."""
    turn, height = np.radians(azimuth_deg), np.radians(elevation_deg)
    return np.array([np.sin(turn) * np.cos(height), -np.cos(turn) * np.cos(height), np.sin(height)])


@cache
def lobe_directions() -> Array:
    """The middles of the lobes, unit vectors (NUM_LOBES, 3)."""
    places = (np.stack(np.meshgrid(np.arange(MAP_SIDE), np.arange(MAP_SIDE)), axis=-1).reshape(-1, 2) + 0.5) / MAP_SIDE
    flat = places * 2 - 1
    up = 1 - np.abs(flat).sum(axis=1, keepdims=True)
    folded = (1 - np.abs(flat[:, ::-1])) * np.where(flat < 0, -1.0, 1.0)
    vectors = np.concatenate([np.where(up < 0, folded, flat), up], axis=1)
    return _fixed(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


@cache
def ball_weights() -> Array:
    """What each light adds (NUM_LIGHTS,) to the radiance of a white matt ball, averaged over the ball."""
    return _fixed(np.concatenate([lobe_solid_angles(), np.ones(NUM_SUNS)]) / (4 * np.pi))


def nearest_sun(toward: Array) -> int:
    """The coefficient of the sun that stands nearest to a unit vector (3,)."""
    return NUM_LOBES + int(np.argmax(sun_directions() @ toward))


def black_body(kelvin: float) -> Array:
    """The colour (3,) of a black body of 1,667 to 15,000 kelvin, in linear sRGB, of luminance one."""
    return np.asarray(_black_bodies()[round(min(max(kelvin, 1667), 15000))])


def sunlight(elevation_deg: float, turbidity: float) -> Array:
    """What the air leaves of the sun's light (3,), 1 outside the atmosphere; turbidity 2 is clear, 7 hazy."""
    air_mass = 1 / (np.sin(np.radians(elevation_deg)) + 0.15 * (elevation_deg + 3.885) ** -1.253)
    rayleigh, aerosol = 0.008735 * _WAVELENGTHS_UM**-4.08, (0.04608 * turbidity - 0.04586) * _WAVELENGTHS_UM**-1.3
    return np.asarray(np.exp(-air_mass * (rayleigh + aerosol)))


def spread(toward: Array, width_deg: float) -> Array:
    """A round fall-off (NUM_LOBES,) of stated standard deviation around a direction, 1 in its middle."""
    return np.asarray(np.exp((lobe_directions() @ toward - 1) / np.radians(width_deg) ** 2))


def patch(toward: Array, width_deg: float, power: float) -> Array:
    """A soft patch (NUM_LIGHTS, 1) whose radiance, summed over its directions, is `power`."""
    lit = np.zeros((NUM_LIGHTS, 1))
    shape = spread(toward, width_deg)
    lit[:NUM_LOBES, 0] = shape * (power / (shape @ lobe_solid_angles()))
    return lit


def lamp(toward: Array, rng: np.random.Generator, power: float) -> Array:
    """A lamp (NUM_LIGHTS, 1): half of them a soft shade, half with part of their power in a hard bulb."""
    hard = float(rng.uniform(0.2, 0.9)) if toward[2] > _LEAST_BULB_HEIGHT and rng.random() < 0.5 else 0.0
    lit = patch(toward, float(rng.uniform(14, 26)), power * (1 - hard))
    lit[nearest_sun(toward), 0] += power * hard
    return lit


def room(rng: np.random.Generator, colour: Array, share: float) -> Array:
    """What walls, ceiling and floor (NUM_LIGHTS, 3) give back of a room's light, each with a tint of its own."""
    up = lobe_directions()[:, 2:]
    ceiling, walls, floor = 1 + rng.uniform(-0.12, 0.12, (3, 3))
    lit = np.zeros((NUM_LIGHTS, 3))
    lit[:NUM_LOBES] = np.where(up > 0.5, ceiling, np.where(up < -0.4, floor * 0.65, walls)) * colour * share
    return lit


def grounded(lit: Array, rng: np.random.Generator) -> Array:
    """The light (NUM_LIGHTS, 3) with what the ground, of a drawn colour, throws back of it from below."""
    albedo = np.exp(rng.normal(0, 0.08, 3)) * float(rng.uniform(0.08, 0.4))
    bounce = (_ground() @ lit) * albedo / np.pi
    bounced = lit.copy()
    bounced[:NUM_LOBES] += np.where(lobe_directions()[:, 2:] < 0, bounce, 0)
    return bounced


@cache
def _ground() -> Array:
    return _fixed(ground_irradiance())


@cache
def _black_bodies() -> Array:
    """Colours (15001, 3) by temperature in kelvin."""
    kelvin = np.arange(15001, dtype=np.float64).clip(1667)
    t = 1e3 / kelvin
    cool, warm = kelvin >= 4000, kelvin < 2222
    x_cool = ((-3.0258469 * t + 2.1070379) * t + 0.2226347) * t + 0.24039
    x_warm = ((-0.2661239 * t - 0.2343589) * t + 0.8776956) * t + 0.17991
    x = np.where(cool, x_cool, x_warm)
    y_warm = ((-1.1063814 * x - 1.34811020) * x + 2.18555832) * x - 0.20219683
    y_middle = ((-0.9549476 * x - 1.37418593) * x + 2.09137015) * x - 0.16748867
    y_cool = ((3.0817580 * x - 5.87338670) * x + 3.75112997) * x - 0.37001483
    y = np.where(warm, y_warm, np.where(cool, y_cool, y_middle))
    xyz = np.stack([x / y, np.ones_like(x), (1 - x - y) / y], axis=1)
    to_rgb = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
    return _fixed((xyz @ to_rgb.T).clip(0))


def _fixed(values: Array) -> Array:
    values.flags.writeable = False
    return values

"""Furnishes the room behind a customer's product: floor, two walls, their patterns, and the light in it."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from components.synthesis.builtin.customers.camera import Camera, Floats

Light = Literal["daylight", "warm", "dim", "hard", "coloured"]
# weight in the draw, hue range and saturation of the key light, key and ambient strength
_LIGHTS: dict[Light, tuple[float, tuple[float, float], float, float, float]] = {
    "daylight": (0.30, (0.55, 0.62), 0.10, 0.75, 0.45),
    "warm": (0.25, (0.07, 0.12), 0.40, 0.80, 0.32),
    "dim": (0.17, (0.05, 0.14), 0.30, 0.26, 0.12),
    "hard": (0.16, (0.10, 0.16), 0.12, 1.50, 0.12),
    "coloured": (0.12, (0.0, 1.0), 0.60, 0.80, 0.25),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lighting:
    """One far lamp and an ambient light: direction to the lamp (3,), colours (3,) in linear RGB."""

    name: Light
    toward: Floats
    key: Floats
    ambient: Floats


def choose_lighting(rng: np.random.Generator) -> Lighting:
    """Draw a lighting of one of the named kinds."""
    names = list(_LIGHTS)
    name = names[rng.choice(len(names), p=[_LIGHTS[n][0] for n in names])]
    _, (low, high), saturation, strength, ambient = _LIGHTS[name]
    key = np.asarray(colorsys.hsv_to_rgb(rng.uniform(low, high) % 1.0, saturation, 1.0), np.float32) * strength
    azimuth, height = rng.uniform(0, 2 * np.pi), rng.uniform(0.25, 1.3)
    toward = np.asarray(
        [np.cos(azimuth) * np.cos(height), np.sin(azimuth) * np.cos(height), np.sin(height)], np.float32
    )
    fill = np.asarray(rng.uniform(0.85, 1.15, 3), np.float32) * np.float32(ambient)
    return Lighting(name=name, toward=toward, key=key.astype(np.float32), ambient=fill)


def paint_room(camera: Camera, lighting: Lighting, floor_z: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """The empty room as linear RGB (P, 3), and where each pixel's ray meets floor or wall (P, 3)."""
    rays = camera.rays()
    walls = [_wall(rng.uniform(0.2, 2.9), rng.uniform(1.8, 4.5)) for _ in range(2)]
    planes = np.array([[0, 0, -1, -floor_z], *walls], np.float32)
    gap = planes[:, 3] - planes[:, :3] @ camera.position
    speed = rays @ planes[:, :3].T
    distance = np.where(speed > 1e-4, gap / np.maximum(speed, 1e-4), np.float32(60)).clip(0, 60)
    plane = distance.argmin(axis=1)
    places = camera.position + rays * distance.min(axis=1, keepdims=True)
    colour = np.empty_like(places)
    for index in range(len(planes)):
        on = np.flatnonzero(plane == index)
        along = np.cross(planes[index, :3], [0.0, 0.0, 1.0]) if index else np.array([1.0, 0.0, 0.0])
        u = places[on] @ along.astype(np.float32)
        v = places[on, 1 if index == 0 else 2]
        light = lighting.ambient + lighting.key * max(float(-planes[index, :3] @ lighting.toward), 0.15)
        colour[on] = _pattern(u, v, rng, framed=index > 0) * light
    return colour, places


def _wall(azimuth: float, distance: float) -> list[float]:
    """A wall behind the target: outward normal and distance from the origin."""
    return [float(np.cos(azimuth)), float(np.sin(azimuth)), 0.0, float(distance)]


def _pattern(u: Floats, v: Floats, rng: np.random.Generator, *, framed: bool) -> Floats:
    """Linear colours (N, 3) of planks, tiles, stripes, blotches or plain paint, with pictures on walls."""
    base, other = _paint(rng), _paint(rng)
    other = base + (other - base) * np.float32(rng.uniform(0.05, 0.6))
    pitch, kind = rng.uniform(0.12, 0.5), rng.integers(5)
    if kind == 0:
        share = np.modf(np.floor(u / pitch) * 0.618)[0] % 1.0
    elif kind == 1:
        share = (np.floor(u / pitch) + np.floor(v / pitch)) % 2
    elif kind == 2:
        share = (np.modf(u / pitch)[0] % 1.0 < 0.5).astype(np.float32)
    elif kind == 3:
        a, b = rng.uniform(3, 14, 2)
        share = 0.5 + 0.25 * (np.sin(u * a + 2 * np.sin(v * b)) + np.sin(v * a * 0.7 + u * b))
    else:
        share = np.zeros_like(u)
    colour: Floats = (base + (other - base) * share[:, None]).astype(np.float32)
    for _ in range(int(rng.integers(1, 5))):
        _hang(colour, u, v, rng, tall=0.8 if framed else 0.4)
    return colour


def _hang(colour: Floats, u: Floats, v: Floats, rng: np.random.Generator, *, tall: float) -> None:
    """Paint a rectangle (picture, window, box, rug) with a rim onto a plane, in place."""
    half_u, half_v = rng.uniform(0.08, 0.6), rng.uniform(0.08, tall)
    away = np.maximum(np.abs(u - rng.uniform(-2, 2)) / half_u, np.abs(v - rng.uniform(-1.2, 1.6)) / half_v)
    colour[away < 1] = _paint(rng)
    if rng.random() < 0.6:
        colour[away < 0.82] = _paint(rng)


def _paint(rng: np.random.Generator) -> Floats:
    hue, saturation, value = (
        rng.choice([rng.normal(0.09, 0.03), rng.random()]) % 1.0,
        rng.beta(1.2, 3.5),
        rng.uniform(0.2, 0.95),
    )
    encoded: NDArray[np.float32] = np.asarray(colorsys.hsv_to_rgb(hue, saturation, value), np.float32)
    return (encoded ** np.float32(2.2)).astype(np.float32)

"""Builds one variant of a vessel or a package, most of them turned from one profile.

A vase is a bottle without a cap, a bowl a mug without a handle and a jar a short wide bottle, so that
shapes overlap between classes.
"""

from __future__ import annotations

import itertools
import math

from components.synthesis.builtin.looks import Look
from components.synthesis.builtin.parts import Finish, Part, block, cushion, lathe, pipe, rod, wedge

Profile = list[tuple[float, float]]


def mug(look: Look) -> list[Part]:
    """A drinking mug with a handle, at times with a coloured band."""
    radius, high = look.between(0.038, 0.046), look.between(0.075, 0.115)
    body, flare = look.finish("ceramic"), look.between(0.85, 1.1)
    outline = [(0.0, 0.0), (radius * 0.9, 0.0), (radius, 0.008), (radius * flare, high)]
    parts = [lathe(_hollow(outline, 0.004), (0, 0, 0), body), *_handle(look, radius, high, body)]
    if look.chance(0.5):
        band = [(radius * 1.02 * (1 + (flare - 1) * s), high * s) for s in (0.3, look.between(0.5, 0.75))]
        parts.append(lathe(band, (0, 0, 0), look.finish("paint")))
    return parts


def bowl(look: Look) -> list[Part]:
    """An open bowl on a small foot, shallow or deep."""
    radius, high = look.between(0.075, 0.10), look.between(0.055, 0.09)
    outline = [(0.0, 0.0), (radius * 0.45, 0.0), (radius * 0.45, high * 0.1)]
    curve = [i / 6 * math.pi / 2 for i in range(1, 7)]
    outline += [(radius * (0.45 + 0.55 * math.sin(a)), high * (0.1 + 0.9 * (1 - math.cos(a)))) for a in curve]
    parts = [lathe(_hollow(outline, 0.005), (0, 0, 0), look.finish("ceramic"))]
    if look.chance(0.35):
        rim = [(outline[-1][0] * 1.01, high * 0.86), (outline[-1][0] * 1.012, high * 1.005)]
        parts.append(lathe(rim, (0, 0, 0), look.finish("paint")))
    return parts


def vase(look: Look) -> list[Part]:
    """A vase: belly, waist and an open lip, at times with twigs in it."""
    high, belly = look.between(0.20, 0.32), look.between(0.055, 0.09)
    neck, lip, middle = look.between(0.018, 0.04), look.between(0.03, 0.055), look.between(0.3, 0.55)
    knots = [(0.0, belly * 0.6), (middle * 0.5, belly * 0.93), (middle, belly), (0.85, neck), (1.0, lip)]
    outline = [(0.0, 0.0), *_smooth(knots, high)]
    parts = [lathe(_hollow(outline, 0.004), (0, 0, 0), look.finish("ceramic"))]
    if look.chance(0.35):
        parts += _twigs(look, high)
    return parts


def bottle(look: Look) -> list[Part]:
    """A bottle: straight body, shoulder, narrow neck, cap and label."""
    radius, high, neck = look.between(0.030, 0.042), look.between(0.22, 0.31), look.between(0.011, 0.015)
    shoulder = look.between(0.50, 0.68)
    knots = [(shoulder, radius), (shoulder + 0.08, radius * 0.85), (shoulder + 0.17, neck * 1.1), (0.93, neck)]
    outline = [(0.0, 0.0), (radius * 0.92, 0.0), (radius, 0.008), *_smooth(knots, high), (0.0, high * 0.93)]
    parts = [lathe(outline, (0, 0, 0), look.finish("glass"))]
    parts.append(lathe(_drum(neck * 1.15, high * 0.07), (0, 0, high * 0.92), look.finish("metal")))
    if look.chance(0.8):
        parts += _label(look, radius, high * shoulder * 0.2, high * shoulder * look.between(0.65, 0.85))
    return parts


def jar(look: Look) -> list[Part]:
    """A wide jar with a flat lid and a label."""
    radius, high = look.between(0.036, 0.05), look.between(0.085, 0.14)
    knots = [(0.72, radius), (0.80, radius * 0.96), (0.86, radius * 0.8)]
    outline = [(0.0, 0.0), (radius * 0.9, 0.0), (radius, 0.008), *_smooth(knots, high), (0.0, high * 0.86)]
    lid = lathe(_drum(radius * 0.86, high * 0.15), (0, 0, high * 0.85), look.finish("metal"))
    parts = [lathe(outline, (0, 0, 0), look.finish("glass")), lid]
    if look.chance(0.8):
        parts += _label(look, radius, high * 0.15, high * 0.62)
    return parts


def carton(look: Look) -> list[Part]:
    """A drink carton with a gable or flat top, printed panels, at times a screw cap."""
    wide, deep, high = look.between(0.065, 0.085), look.between(0.055, 0.08), look.between(0.16, 0.24)
    paper, print_colour = look.finish("ceramic"), look.finish("paint")
    parts = [block((wide, deep, high), (0, 0, high / 2), paper)]
    level, tall = high * look.between(0.15, 0.5), high * look.between(0.2, 0.45)
    parts.append(block((wide * 1.01, deep * 1.01, tall), (0, 0, level + tall * 0.3), print_colour))
    parts.append(cushion((wide * 0.5, 0.004, wide * 0.5), (0, -deep / 2 - 0.001, high * 0.7), look.finish("paint")))
    if look.chance(0.7):
        parts += _gable((wide, deep, high), print_colour)
    if look.chance(0.5):
        parts.append(rod((0, -deep * 0.28, high), (0, -deep * 0.42, high + 0.024), 0.012, look.finish("paint")))
    return parts


def teapot(look: Look) -> list[Part]:
    """A teapot: round belly, spout, handle and lid with a knob."""
    radius, body = look.between(0.065, 0.08), look.finish("ceramic")
    tall = radius * look.between(1.3, 1.9)
    parts = [cushion((radius * 2, radius * 2, tall), (0, 0, tall / 2), body, sharpness=look.between(2.0, 2.8))]
    spout = [(radius * 0.8, 0, tall * 0.4), (radius * 1.3, 0, tall * 0.6), (radius * 1.6, 0, tall * 0.95)]
    parts += [rod(spout[0], spout[1], 0.018, body, end_radius=0.013), rod(spout[1], spout[2], 0.013, body)]
    parts += _handle(look, -radius * 0.92, tall, body)
    lid = look.finish("ceramic") if look.chance(0.3) else body
    parts.append(cushion((radius, radius, radius * 0.3), (0, 0, tall * 0.98), lid, sharpness=2.2))
    return [*parts, cushion((0.024, 0.024, 0.024), (0, 0, tall + radius * 0.2), lid, sharpness=2.0)]


def pan(look: Look) -> list[Part]:
    """A frying pan or saucepan with a long handle."""
    radius, metal = look.between(0.09, 0.12), look.finish("metal")
    high = look.between(0.035, 0.05) if look.chance(0.6) else look.between(0.08, 0.11)
    outline = [(0.0, 0.0), (radius * 0.88, 0.0), (radius * 0.95, high * 0.3), (radius, high)]
    grip = look.finish("wood") if look.chance(0.5) else look.finish("metal")
    start, end = (radius * 0.97, 0, high * 0.8), (radius + look.between(0.13, 0.19), 0, high * 1.2)
    return [lathe(_hollow(outline, 0.004), (0, 0, 0), metal, num_sides=36), rod(start, end, 0.010, grip)]


def _hollow(outline: Profile, wall: float) -> Profile:
    """An outline closed by an inner wall, so that the vessel is open at the top."""
    inner = [(max(r - wall, 0.0), z + (wall if z < outline[-1][1] else 0.0)) for r, z in reversed(outline)]
    return [*outline, *inner]


def _smooth(knots: list[tuple[float, float]], high: float, steps: int = 12) -> Profile:
    """Radii at given shares of the height, rounded by cosine steps between knots."""
    points: Profile = []
    for (share_a, radius_a), (share_b, radius_b) in itertools.pairwise(knots):
        number = max(2, round(steps * (share_b - share_a)))
        for i in range(number):
            blend = (1 - math.cos(math.pi * i / number)) / 2
            share = share_a + (share_b - share_a) * i / number
            points.append((radius_a + (radius_b - radius_a) * blend, share * high))
    return [*points, (knots[-1][1], knots[-1][0] * high)]


def _drum(radius: float, tall: float) -> Profile:
    return [(0, 0), (radius, 0), (radius, tall), (0, tall)]


def _handle(look: Look, radius: float, high: float, finish: Finish) -> list[Part]:
    """A C-shaped handle on the +x side, or on the -x side for a negative radius."""
    side, reach = math.copysign(1.0, radius), look.between(0.022, 0.032)
    tall = high * look.between(0.28, 0.36)
    angles = [math.pi * (0.5 - i / 8) for i in range(9)]
    points = [(radius * 0.97 + side * reach * math.cos(a), 0, high * 0.52 + tall * math.sin(a)) for a in angles]
    return pipe(points, 0.0055, finish)


def _label(look: Look, radius: float, low: float, high: float) -> list[Part]:
    base, stripe = look.finish("ceramic"), look.finish("paint")
    middle = low + (high - low) * look.between(0.3, 0.6)
    return [
        lathe([(radius * 1.015, low), (radius * 1.015, high)], (0, 0, 0), base),
        lathe([(radius * 1.03, middle), (radius * 1.03, middle + (high - low) * 0.25)], (0, 0, 0), stripe),
    ]


def _twigs(look: Look, high: float) -> list[Part]:
    leaf, parts = look.finish("glass"), []
    for index in range(look.count(3, 6)):
        angle, lean, tall = index * 1.9, look.between(0.03, 0.10), high + look.between(0.08, 0.2)
        tip = (lean * math.cos(angle), lean * math.sin(angle), tall)
        parts += [rod((0, 0, high * 0.6), tip, 0.002, leaf), cushion((0.03, 0.03, 0.05), tip, leaf, sharpness=2.0)]
    return parts


def _gable(size: tuple[float, float, float], finish: Finish) -> list[Part]:
    wide, deep, high = size
    tall = deep * 0.5
    roof = wedge((wide, deep, tall), (0, 0, high + tall / 2), finish)
    return [roof, block((wide, 0.004, 0.02), (0, 0, high + tall), finish)]

"""Builds one variant of a piece of furniture or a lamp from boxes, cushions, lathes and rods.

Several classes share their bones on purpose: a stool is a small side table, an armchair a sofa for one, a
cabinet a shelf with doors, so that a classifier has something to confuse. The front faces -y.
"""

from __future__ import annotations

import math

from components.synthesis.builtin.looks import Look
from components.synthesis.builtin.parts import Finish, Part, block, cushion, lathe, moved, pipe, rod


def chair(look: Look) -> list[Part]:
    """A dining chair: seat, four legs, a back of slats, a panel or spindles."""
    wide, deep, high = look.between(0.42, 0.50), look.between(0.42, 0.50), look.between(0.43, 0.47)
    frame = look.finish("wood") if look.chance(0.7) else look.finish("metal")
    seat = look.finish("fabric") if look.chance(0.5) else frame
    parts = _legs(look, (wide, deep, high), frame)
    parts.append(_seat(look, (wide, deep, 0.06), high, seat))
    return parts + _chair_back(look, (wide, deep, high), frame, seat)


def armchair(look: Look) -> list[Part]:
    """A soft seat for one, with arms."""
    return _upholstered(look, look.between(0.62, 0.75), 1)


def sofa(look: Look) -> list[Part]:
    """A soft seat for two or three, with arms."""
    seats = look.count(2, 3)
    return _upholstered(look, look.between(0.52, 0.62) * seats, seats)


def bench(look: Look) -> list[Part]:
    """A long seat without arms, on legs or panels, at times with a low back."""
    wide, deep, high = look.between(1.05, 1.5), look.between(0.32, 0.40), look.between(0.42, 0.47)
    frame = look.finish("wood")
    parts = [block((wide, deep, 0.05), (0, 0, high), frame)]
    if look.chance(0.5):
        parts += _legs(look, (wide, deep, high), frame)
    else:
        inset = wide / 2 - look.between(0.06, 0.2)
        parts += [block((0.05, deep * 0.9, high), (side * inset, 0, high / 2), frame) for side in (-1, 1)]
    if look.chance(0.3):
        parts += [block((wide, 0.03, 0.09), (0, deep / 2, high + lift), frame) for lift in (0.18, 0.33)]
        parts += [block((0.04, 0.03, 0.38), (x * wide * 0.45, deep / 2, high + 0.19), frame) for x in (-1, 1)]
    elif look.chance(0.5):
        parts.append(cushion((wide, deep, 0.08), (0, 0, high + 0.05), look.finish("fabric"), sharpness=8))
    return parts


def stool(look: Look) -> list[Part]:
    """A small backless seat on three or four legs with a stretcher."""
    wide, high = look.between(0.30, 0.38), look.between(0.45, 0.75)
    frame = look.finish("wood") if look.chance(0.6) else look.finish("metal")
    top = look.finish("fabric") if look.chance(0.5) else frame
    if look.chance(0.65):
        parts = [lathe(_disc(wide / 2, look.between(0.04, 0.08)), (0, 0, high), top)]
        return parts + _splayed_legs(look, wide * 0.36, high, frame, stretcher=True)
    size = (wide, wide, high)
    return [*_legs(look, size, frame), *_stretchers(size, frame), _seat(look, (wide, wide, 0.06), high, top)]


def side_table(look: Look) -> list[Part]:
    """A small table with a thin wide top, on legs or a pedestal."""
    wide, high = look.between(0.45, 0.60), look.between(0.42, 0.58)
    frame = look.finish("wood") if look.chance(0.5) else look.finish("metal")
    top = look.finish("wood") if look.chance(0.6) else look.finish("ceramic")
    if look.chance(0.65):
        parts = [lathe(_disc(wide / 2, 0.025), (0, 0, high), top, num_sides=36)]
        if look.chance(0.4):
            foot = lathe(_disc(wide * 0.3, 0.02), (0, 0, 0), frame)
            return [*parts, foot, rod((0, 0, 0), (0, 0, high), 0.025, frame)]
        return parts + _splayed_legs(look, wide * 0.40, high, frame, stretcher=False)
    parts = [block((wide, wide, 0.025), (0, 0, high), top), *_legs(look, (wide, wide, high), frame)]
    if look.chance(0.4):
        parts.append(block((wide * 0.9, wide * 0.9, 0.02), (0, 0, high * 0.35), top))
    return parts


def table(look: Look) -> list[Part]:
    """A dining table, rectangular on four legs or round on a column."""
    wide, deep, high = look.between(1.25, 1.8), look.between(0.75, 0.95), look.between(0.72, 0.76)
    frame, top = look.finish("wood"), look.finish("wood")
    if look.chance(0.25):
        radius = deep * 0.62
        column = [(0, 0), (radius * 0.5, 0), (radius * 0.45, 0.04), (0.06, 0.10), (0.06, high), (0, high)]
        slab = lathe(_disc(radius, 0.04), (0, 0, high), top, num_sides=40)
        return [slab, lathe(column, (0, 0, 0), frame)]
    parts = [block((wide, deep, look.between(0.03, 0.06)), (0, 0, high), top)]
    parts += [block((wide * 0.88, 0.02, 0.08), (0, y * deep * 0.42, high - 0.06), frame) for y in (-1, 1)]
    return parts + _legs(look, (wide, deep, high), frame)


def desk(look: Look) -> list[Part]:
    """A writing desk: a top on legs or panels, with a pedestal of drawers."""
    wide, deep, high = look.between(1.1, 1.5), look.between(0.55, 0.70), look.between(0.72, 0.76)
    frame, top, knob = look.finish("wood"), look.finish("wood"), look.finish("metal")
    drawer_width, tall = wide * look.between(0.26, 0.34), look.between(0.40, 0.66)
    sides = (-1, 1) if look.chance(0.3) else ((1,) if look.chance(0.5) else (-1,))
    parts = [block((wide, deep, 0.035), (0, 0, high), top)]
    for side in sides:
        x = side * (wide - drawer_width) / 2 * 0.97
        parts += _drawers((drawer_width, deep * 0.92, tall), (x, 0, high - tall / 2), (frame, top, knob), look)
    if look.chance(0.5):
        parts.append(block((wide * 0.95, 0.02, 0.35), (0, deep * 0.4, high - 0.2), frame))
    return parts + _legs(look, (wide, deep, high), frame)


def shelf(look: Look) -> list[Part]:
    """An open bookcase with boards, often with books."""
    size = look.between(0.60, 1.0), look.between(0.26, 0.34), look.between(1.1, 1.9)
    boards, frame = look.count(3, 5), look.finish("wood")
    parts = _carcass(size, frame, back=look.chance(0.6))
    step = size[2] / boards
    parts += [block((size[0], size[1], 0.025), (0, 0, step * i), frame) for i in range(1, boards)]
    for level in range(boards):
        if look.chance(0.6):
            parts += _books(look, size, step * level + 0.02, step)
    return parts


def cabinet(look: Look) -> list[Part]:
    """A cupboard with doors or drawers, at times one open row."""
    wide, deep, high = look.between(0.60, 1.1), look.between(0.34, 0.44), look.between(0.75, 1.6)
    frame, knob = look.finish("wood"), look.finish("metal")
    door = frame if look.chance(0.5) else look.finish("paint")
    foot = look.between(0.06, 0.16)
    body = _carcass((wide, deep, high), frame, back=True)
    open_row = high * 0.28 if look.chance(0.4) else 0.0
    tall, doors = high - open_row - 0.04, look.count(1, 3)
    width = (wide - 0.03) / doors
    for index in range(doors):
        x = -wide / 2 + 0.015 + width * (index + 0.5)
        body.append(block((width * 0.96, 0.025, tall), (x, -deep / 2 - 0.005, tall / 2 + 0.02), door))
        grip = x + width * (0.36 if index % 2 == 0 else -0.36)
        body.append(block((0.025, 0.03, 0.14), (grip, -deep / 2 - 0.03, tall * 0.6), knob))
    body.append(block((wide, deep, 0.03), (0, 0, tall + 0.03), frame))
    return [moved(part, (0, 0, foot)) for part in body] + _legs(look, (wide, deep, foot), knob)


def floor_lamp(look: Look) -> list[Part]:
    """A tall lamp: a disc or tripod foot, a pole, a shade."""
    high, metal = look.between(1.35, 1.65), look.finish("metal")
    shade, radius = look.finish("ceramic"), look.between(0.17, 0.25)
    foot = _splayed_legs(look, 0.26, 0.8, metal, stretcher=False) if look.chance(0.35) else []
    base = foot or [lathe(_disc(look.between(0.13, 0.18), 0.03), (0, 0, 0), metal)]
    low = 0.7 if foot else 0.0
    if look.chance(0.25):
        reach = look.between(0.35, 0.55)
        arm = [(0, 0, low), (0, 0, high * 0.85), (reach * 0.3, 0, high), (reach, 0, high * 0.98)]
        dome = lathe(_shade(radius * 0.9, radius * 0.3, 0.2), (reach, 0, high * 0.98 - 0.18), shade)
        return [*base, *pipe(arm, 0.015, metal), dome]
    top = lathe(_shade(radius, radius * look.between(0.5, 1.0), 0.28), (0, 0, high - 0.22), shade)
    return [*base, rod((0, 0, low), (0, 0, high), 0.014, metal), top]


def desk_lamp(look: Look) -> list[Part]:
    """A small lamp with a jointed arm and a cone, or a short stem with a shade."""
    metal = look.finish("metal") if look.chance(0.5) else look.finish("paint")
    base = lathe(_disc(look.between(0.08, 0.11), 0.025), (0, 0, 0), metal)
    if look.chance(0.3):
        high, shade = look.between(0.30, 0.42), look.finish("ceramic")
        top = lathe(_shade(0.14, look.between(0.07, 0.13), 0.16), (0, 0, high - 0.08), shade)
        stem = [(0, 0), (0.06, 0.02), (0.03, 0.08), (0.05, 0.16), (0.015, 0.24), (0.01, high), (0, high)]
        return [base, lathe(stem, (0, 0, 0), look.finish("ceramic")), top]
    elbow, high = look.between(0.08, 0.18), look.between(0.38, 0.50)
    head = (-look.between(0.16, 0.26), 0.0, high - look.between(0.0, 0.08))
    arm = pipe([(0, 0, 0), (elbow, 0, high * 0.55), head], 0.012, metal)
    drop = (head[0] - 0.10, 0.0, head[2] - 0.11)
    return [base, *arm, rod(head, drop, 0.035, metal, end_radius=look.between(0.07, 0.10))]


def _legs(look: Look, size: tuple[float, float, float], finish: Finish) -> list[Part]:
    wide, deep, high = size
    thick = look.between(0.018, 0.03)
    splay = look.between(0.0, 0.04) if look.chance(0.5) else 0.0
    corners = [(x, y) for x in (-1, 1) for y in (-1, 1)]
    tops = [(x * (wide / 2 - 0.04), y * (deep / 2 - 0.04)) for x, y in corners]
    if look.chance(0.5):
        return [block((thick * 2, thick * 2, high), (x, y, high / 2), finish) for x, y in tops]
    return [
        rod((x + splay * sx, y + splay * sy, 0), (x, y, high), thick * 0.7, finish, end_radius=thick)
        for (x, y), (sx, sy) in zip(tops, corners, strict=True)
    ]


def _splayed_legs(look: Look, reach: float, high: float, finish: Finish, *, stretcher: bool) -> list[Part]:
    number, thick = look.count(3, 4), look.between(0.012, 0.02)
    angles = [2 * math.pi * (i + 0.4) / number for i in range(number)]
    feet = [(reach * 1.25 * math.cos(a), reach * 1.25 * math.sin(a)) for a in angles]
    legs = [rod((x, y, 0), (x * 0.55, y * 0.55, high), thick, finish) for x, y in feet]
    if not stretcher:
        return legs
    share = 0.62 + 0.38 * 0.65
    ring = [(x * share * 1.05, y * share * 1.05, high * 0.3) for x, y in feet]
    return legs + [rod(a, b, thick * 0.7, finish) for a, b in zip(ring, ring[1:] + ring[:1], strict=True)]


def _stretchers(size: tuple[float, float, float], finish: Finish) -> list[Part]:
    x, y, z = size[0] / 2 - 0.04, size[1] / 2 - 0.04, size[2] * 0.3
    along = [rod((-x, side * y, z), (x, side * y, z), 0.012, finish) for side in (-1, 1)]
    return along + [rod((side * x, -y, z), (side * x, y, z), 0.012, finish) for side in (-1, 1)]


def _seat(look: Look, size: tuple[float, float, float], high: float, finish: Finish) -> Part:
    if finish.roughness > 0.9:
        return cushion((size[0] * 1.04, size[1] * 1.04, size[2] * 1.6), (0, 0, high), finish, sharpness=7)
    return block((size[0], size[1], look.between(0.025, 0.045)), (0, 0, high), finish)


def _chair_back(look: Look, size: tuple[float, float, float], frame: Finish, seat: Finish) -> list[Part]:
    wide, deep, high = size
    tall, y = look.between(0.38, 0.55), deep / 2 - 0.03
    lean = look.between(0.03, 0.10)
    edge = wide / 2 - 0.03
    posts = [rod((x, y, high), (x, y + lean, high + tall), 0.018, frame) for x in (-edge, edge)]
    kind = look.count(0, 2)
    if kind == 0:
        size = (wide * 0.92, 0.06, tall * 0.7)
        return [*posts, cushion(size, (0, y + lean * 0.6, high + tall * 0.62), seat, sharpness=8)]
    if kind == 1:
        rows = look.count(2, 4)
        levels = [(lean * (i + 1) / rows, high + tall * (i + 1) / rows - 0.03) for i in range(rows)]
        return posts + [block((wide * 0.9, 0.02, 0.07), (0, y + back, z), frame) for back, z in levels]
    rail = block((wide * 0.95, 0.03, 0.06), (0, y + lean, high + tall), frame)
    xs = [wide * 0.8 * (i / 4 - 0.5) for i in range(5)]
    return [*posts, rail, *[rod((x, y, high), (x, y + lean, high + tall), 0.009, frame) for x in xs]]


def _upholstered(look: Look, wide: float, seats: int) -> list[Part]:
    deep, low, seat = look.between(0.72, 0.88), look.between(0.08, 0.16), look.between(0.40, 0.46)
    arm_width, arm_high = look.between(0.10, 0.20), look.between(0.56, 0.66)
    cloth, foot, back_high = look.finish("fabric"), look.finish("wood"), look.between(0.74, 0.95)
    soft = look.between(6, 12)
    full, back = wide + arm_width, (0, deep / 2 - 0.08, (back_high + low) / 2)
    body = [
        cushion((full, deep, seat - low - 0.10), (0, 0, (seat + low) / 2 - 0.05), cloth, sharpness=14),
        cushion((full, 0.20, back_high - low), back, cloth, sharpness=soft),
    ]
    for side in (-1, 1):
        x = side * (wide + arm_width) / 2
        body.append(cushion((arm_width, deep, arm_high - low), (x, 0, (arm_high + low) / 2), cloth, sharpness=soft))
    width = wide / seats
    for index in range(seats):
        x = -wide / 2 + width * (index + 0.5)
        body.append(cushion((width * 0.99, deep * 0.8, 0.17), (x, -0.06, seat), cloth, sharpness=8))
        body.append(cushion((width * 0.97, 0.18, 0.40), (x, deep / 2 - 0.22, seat + 0.22), cloth, sharpness=5))
    return body + _legs(look, (wide + arm_width, deep, low + 0.03), foot)


def _drawers(
    size: tuple[float, float, float],
    centre: tuple[float, float, float],
    finishes: tuple[Finish, Finish, Finish],
    look: Look,
) -> list[Part]:
    frame, front, knob = finishes
    wide, deep, tall = size
    x, y, z = centre
    number = look.count(2, 3)
    parts = [block(size, centre, frame)]
    for index in range(number):
        height = z - tall / 2 + tall * (index + 0.5) / number
        parts.append(block((wide * 0.92, 0.02, tall / number * 0.88), (x, y - deep / 2, height), front))
        parts.append(block((wide * 0.35, 0.03, 0.018), (x, y - deep / 2 - 0.02, height), knob))
    return parts


def _carcass(size: tuple[float, float, float], finish: Finish, *, back: bool) -> list[Part]:
    wide, deep, high = size
    parts = [block((0.025, deep, high), (side * wide / 2, 0, high / 2), finish) for side in (-1, 1)]
    parts += [block((wide, deep, 0.03), (0, 0, z), finish) for z in (0.015, high)]
    return [*parts, block((wide, 0.012, high), (0, deep / 2, high / 2), finish)] if back else parts


def _books(look: Look, size: tuple[float, float, float], floor: float, room: float) -> list[Part]:
    wide, deep, _ = size
    x, end = -wide / 2 + 0.03, look.between(0.2, 1.0) * wide - wide / 2 - 0.03
    parts: list[Part] = []
    while x < end and len(parts) < 9:
        thick, tall = look.between(0.03, 0.08), room * look.between(0.5, 0.85)
        parts.append(block((thick, deep * 0.7, tall), (x + thick / 2, 0, floor + tall / 2), look.finish("paint")))
        x += thick + 0.004
    return parts


def _disc(radius: float, thick: float) -> list[tuple[float, float]]:
    return [(0, 0), (radius, 0), (radius, thick), (0, thick)]


def _shade(low: float, high: float, tall: float) -> list[tuple[float, float]]:
    return [(high * 0.98, tall), (low * 0.98, 0.0), (low, 0.0), (high, tall)]

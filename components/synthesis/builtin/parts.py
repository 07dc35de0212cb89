"""Makes the few solids of which every built-in product consists, each a shaded triangle mesh.

Corners carry their own normals: crisp where a surface folds, smooth where it bends. Z points up, lengths
are metres. The unit solids come from trimesh and are kept, so that a part costs one matrix product.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Point = Sequence[float]
_FOLD_COSINE = 0.75  # surfaces that turn by more than 41 degrees show an edge


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """A surface: sRGB colour in 0..1 and roughness, 0 polished to 1 matt."""

    colour: tuple[float, float, float]
    roughness: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One solid: vertices and unit normals (V, 3) float32, faces (F, 3) int32, and its finish."""

    vertices: Array
    normals: Array
    faces: NDArray[np.int32]
    finish: Finish


def block(size: Point, centre: Point, finish: Finish, *, turn_deg: float = 0.0) -> Part:
    """A box with crisp edges, turned about the vertical axis."""
    vertices, normals, faces = _unit_box()
    part = Part(vertices=vertices * np.asarray(size, np.float32), normals=normals, faces=faces, finish=finish)
    return moved(part, centre, turn_deg=turn_deg)


def wedge(size: Point, centre: Point, finish: Finish) -> Part:
    """A roof: a box whose top is pinched to a ridge along x."""
    vertices, _, faces = _unit_box()
    shape = (
        np.where(vertices[:, 2:] > 0, np.asarray([1, 0, 1], np.float32), np.float32(1))
        * vertices
        * np.asarray(size, np.float32)
    )
    corners = shape.reshape(-1, 3, 3)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.repeat(_unit(across), 3, axis=0)
    kept = faces[np.linalg.norm(across, axis=1) > 0]  # the pinched top has no surface
    used = kept.reshape(-1)
    part = Part(vertices=shape[used], normals=normals[used], faces=faces[: len(kept)], finish=finish)
    return moved(part, centre)


def cushion(size: Point, centre: Point, finish: Finish, *, sharpness: float = 4.0) -> Part:
    """A superellipsoid: a ball at sharpness 2, a soft box above it."""
    directions, faces = _unit_ball()
    power = np.abs(directions) ** sharpness
    points = directions / power.sum(axis=1, keepdims=True) ** (1.0 / sharpness)
    normals = np.sign(points) * np.abs(points) ** (sharpness - 1) / np.asarray(size, np.float32)
    part = Part(
        vertices=(points * np.asarray(size, np.float32) / 2).astype(np.float32),
        normals=_unit(normals),
        faces=faces,
        finish=finish,
    )
    return moved(part, centre)


def lathe(profile: Sequence[tuple[float, float]], centre: Point, finish: Finish, *, num_sides: int = 28) -> Part:
    """Turn a profile of (radius, height) points, bottom to top along the outside, about the vertical axis."""
    rings, ring_normals, joined = _profile_rings(np.asarray(profile, np.float64))
    angles = np.linspace(0, 2 * np.pi, num_sides, endpoint=False)
    circle = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    vertices, normals = _spin(rings, circle), _spin(ring_normals, circle)
    start = np.flatnonzero(joined)[:, None] * num_sides
    here = np.arange(num_sides)[None]
    there = (here + 1) % num_sides
    low_a, low_b, high_a, high_b = start + here, start + there, start + num_sides + here, start + num_sides + there
    faces = np.stack([low_a, low_b, high_b, low_a, high_b, high_a], axis=-1).reshape(-1, 3).astype(np.int32)
    part = Part(vertices=vertices, normals=_unit(normals), faces=faces, finish=finish)
    return moved(part, centre)


def rod(start: Point, end: Point, radius: float, finish: Finish, *, end_radius: float | None = None) -> Part:
    """A round bar between two points, tapered when `end_radius` differs from `radius`."""
    axis = np.asarray(end, np.float64) - np.asarray(start, np.float64)
    length = float(np.linalg.norm(axis))
    top = radius if end_radius is None else end_radius
    upright = lathe([(0, 0), (radius, 0), (top, length), (0, length)], (0, 0, 0), finish, num_sides=12)
    along = axis / length
    across = np.cross([0.0, 1.0, 0.0] if abs(along[1]) < 0.9 else [1.0, 0.0, 0.0], along)
    across /= np.linalg.norm(across)
    turn = np.stack([across, np.cross(along, across), along], axis=1).astype(np.float32)
    return replace(
        upright,
        vertices=upright.vertices @ turn.T + np.asarray(start, np.float32),
        normals=upright.normals @ turn.T,
    )


def pipe(points: Sequence[Point], radius: float, finish: Finish) -> list[Part]:
    """A bent bar through `points`, as straight pieces with a ball at each bend."""
    bars = [rod(a, b, radius, finish) for a, b in itertools.pairwise(points)]
    joints = [cushion([radius * 2] * 3, p, finish, sharpness=2.0) for p in points[1:-1]] if len(points) < 5 else []
    return bars + joints


def moved(part: Part, offset: Point, *, turn_deg: float = 0.0) -> Part:
    """The part turned about the vertical axis through the origin, then shifted."""
    angle = np.radians(turn_deg)
    cos, sin = np.cos(angle), np.sin(angle)
    turn = np.asarray([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    return replace(
        part, vertices=part.vertices @ turn.T + np.asarray(offset, np.float32), normals=part.normals @ turn.T
    )


def _spin(profile: NDArray[np.float64], circle: NDArray[np.float64]) -> Array:
    """(R, 2) radius and height spun around a circle (S, 2) to (R * S, 3)."""
    flat = profile[:, None, :1] * circle[None]
    height = np.broadcast_to(profile[:, None, 1:], (*flat.shape[:2], 1))
    return np.concatenate([flat, height], axis=-1).reshape(-1, 3).astype(np.float32)


def _profile_rings(
    profile: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Rings, their normals, and whether each ring is joined to the next: folds get two rings, not joined."""
    step = np.diff(profile, axis=0)
    side = np.stack([step[:, 1], -step[:, 0]], axis=1)
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-9)
    rings, normals, joined = [profile[0]], [side[0]], []
    for index in range(1, len(profile) - 1):
        before, after = side[index - 1], side[index]
        joined.append(True)
        rings.append(profile[index])
        if before @ after > _FOLD_COSINE:
            normals.append(before + after)
        else:
            normals += [before, after]
            rings.append(profile[index])
            joined.append(False)
    joined += [True, False]
    return np.array([*rings, profile[-1]]), np.array([*normals, side[-1]]), np.array(joined)


def _unit(vectors: NDArray[np.floating]) -> Array:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return np.asarray(vectors / lengths, np.float32)


@cache
def _unit_box() -> tuple[Array, Array, NDArray[np.int32]]:
    import trimesh

    box = trimesh.creation.box()
    vertices = np.asarray(box.vertices[box.faces].reshape(-1, 3), np.float32)
    normals = np.repeat(np.asarray(box.face_normals, np.float32), 3, axis=0)
    return vertices, normals, np.arange(len(vertices), dtype=np.int32).reshape(-1, 3)


@cache
def _unit_ball() -> tuple[Array, NDArray[np.int32]]:
    import trimesh

    ball = trimesh.creation.icosphere(subdivisions=3)
    return np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int32)

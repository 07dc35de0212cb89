"""Puts a customer's product among other things in a room and shades what the camera sees of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from components.synthesis.builtin.customers.camera import Camera, Floats
from components.synthesis.builtin.customers.rasteriser import Fragments, rasterise
from components.synthesis.builtin.customers.room import Lighting, paint_room
from components.synthesis.builtin.parts import Part

_MOST_HIDDEN = 0.6  # a thing that would hide more of the product than this is left out, lest the label be wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """Triangles of a thing: corners and normals (T, 3, 3), linear colour (T, 3), gloss (T,), print (4,)."""

    corners: Floats
    normals: Floats
    colour: Floats
    gloss: Floats
    pattern: Floats

    @property
    def floor_z(self) -> float:
        """The height of its lowest point."""
        return float(self.corners[..., 2].min())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A product, the other things around it, and the light."""

    product: Body
    others: list[Body]
    lighting: Lighting


def body_from_parts(parts: list[Part], rng: np.random.Generator) -> Body:
    """The triangles of a model, with a printed pattern of its owner's taste (often none)."""
    lengths = [len(part.faces) for part in parts]
    colours = np.asarray([part.finish.colour for part in parts], np.float32) ** np.float32(2.2)
    gloss = np.asarray([1 - part.finish.roughness for part in parts], np.float32)
    strength = rng.uniform(0.1, 0.45) if rng.random() < 0.33 else 0.0
    return Body(
        corners=np.concatenate([part.vertices[part.faces] for part in parts]),
        normals=np.concatenate([part.normals[part.faces] for part in parts]),
        colour=np.repeat(colours, lengths, axis=0),
        gloss=np.repeat(gloss, lengths),
        pattern=np.asarray([*rng.normal(0, 14, 3), strength], np.float32),
    )


def set_beside(body: Body, rng: np.random.Generator, *, floor_z: float, toward: Floats) -> Body:
    """Another thing put on the floor near the product; now and then between it and the camera."""
    scale, turn = rng.uniform(0.3, 0.6), rng.uniform(0, 2 * np.pi)
    cos, sin = np.cos(turn), np.sin(turn)
    spin = np.asarray([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], np.float32)
    in_front = rng.random() < 0.18
    angle = np.arctan2(toward[1], toward[0]) + (rng.normal(0, 0.45) if in_front else rng.uniform(0.9, 5.4))
    reach = rng.uniform(1.0, 1.5) if in_front else rng.uniform(1.1, 2.0)
    corners = (body.corners @ spin.T) * np.float32(scale)
    shift = np.asarray(
        [np.cos(angle) * reach, np.sin(angle) * reach, floor_z - float(corners[..., 2].min())], np.float32
    )
    return Body(
        corners=corners + shift,
        normals=body.normals @ spin.T,
        colour=body.colour,
        gloss=body.gloss,
        pattern=body.pattern,
    )


def draw_scene(scene: Scene, camera: Camera, rng: np.random.Generator) -> tuple[Floats, float]:
    """The picture as linear RGB (size, size, 3), and the share of the product that other things hide."""
    size = camera.size_px
    picture = _draw_empty_room(scene, camera, rng)
    near = np.zeros(size * size, np.float32)
    own = np.zeros(0, np.intp)
    hidden: NDArray[np.bool_] = np.zeros(size * size, np.bool_)
    for body in [scene.product, *scene.others]:
        seen = rasterise(camera.project(body.corners), size_px=size)
        front = seen.nearness > near[seen.pixel]
        if body is scene.product:
            own = seen.pixel
        else:
            covered = hidden.copy()
            covered[seen.pixel[front]] = True
            if own.size and covered[own].mean() > _MOST_HIDDEN:
                continue
            hidden = covered
        colour = _shade(body, seen, camera, scene.lighting)
        near[seen.pixel[front]] = seen.nearness[front]
        picture[seen.pixel[front]] = colour[front]
    occluded = float(hidden[own].mean()) if own.size else 1.0
    return picture.reshape(size, size, 3), occluded


def _draw_empty_room(scene: Scene, camera: Camera, rng: np.random.Generator) -> Floats:
    """The room with the shadows in it, (size * size, 3): drawn at half the size, as it is out of focus anyway."""
    half = replace(camera, size_px=camera.size_px // 2, focal_px=camera.focal_px / 2)
    room, places = paint_room(half, scene.lighting, scene.product.floor_z, rng)
    _cast_shadows(room, places, scene)
    full = camera.size_px, camera.size_px
    return np.asarray(cv2.resize(room.reshape(half.size_px, half.size_px, 3), full), np.float32).reshape(-1, 3)


def _cast_shadows(picture: Floats, places: Floats, scene: Scene) -> None:
    """Darken the floor under and behind each thing, in place: one soft ellipse a thing."""
    floor_z = scene.product.floor_z
    ground = np.flatnonzero(places[:, 2] < floor_z + 0.02)
    spot = places[ground, :2]
    tilt = scene.lighting.toward[:2] / max(float(scene.lighting.toward[2]), 0.3)
    light = np.ones(len(ground), np.float32)
    for body in [scene.product, *scene.others]:
        low, high = body.corners.reshape(-1, 3).min(axis=0), body.corners.reshape(-1, 3).max(axis=0)
        half = np.maximum((high - low)[:2] / 2, 0.1) * 0.85 + np.abs(tilt) * (high[2] - floor_z) * 0.2
        centre = (low + high)[:2] / 2 - tilt * (high[2] - floor_z) * 0.2
        away = (spot - centre) / half
        light *= 1 - np.float32(0.65) * np.exp(-(away[:, 0] ** 2) - away[:, 1] ** 2)
    picture[ground] *= light[:, None]


def _shade(body: Body, seen: Fragments, camera: Camera, lighting: Lighting) -> Floats:
    """Linear colours (N, 3) of the fragments: ambient from above, one lamp, a highlight, the print."""
    normal = np.einsum("nij,ni->nj", body.normals[seen.triangle], seen.weights)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
    place = np.einsum("nij,ni->nj", body.corners[seen.triangle], seen.weights)
    view = camera.position - place
    view /= np.linalg.norm(view, axis=1, keepdims=True)
    halfway = view + lighting.toward
    halfway /= np.maximum(np.linalg.norm(halfway, axis=1, keepdims=True), 1e-6)
    gloss = body.gloss[seen.triangle]
    lit = np.maximum(normal @ lighting.toward, 0)
    shine = gloss**2 * np.maximum((normal * halfway).sum(axis=1), 0) ** (6 + 60 * gloss) * (lit > 0)
    wave = np.sign(np.sin(place @ body.pattern[:3])) * body.pattern[3] * 0.5
    colour = body.colour[seen.triangle] * (1 - body.pattern[3] * 0.5 + wave)[:, None]
    above = (0.65 + 0.35 * normal[:, 2])[:, None]
    shaded: Floats = colour * (lighting.ambient * above + lighting.key * lit[:, None]) + lighting.key * shine[:, None]
    return shaded.astype(np.float32)

"""Wraps a product's photo on a plain solid, so that a catalogue picture alone gives views in three dimensions.

A carton shows the picture in front and behind and its edge colours on the sides; a bottle is the cut-out's own
outline, turned about its axis; a can is a cylinder with the picture around it; a card is flat and has the
cut-out's outline. Behind what the camera saw, pictures go on mirrored, so that no seam shows. The result is
plausible up to some 60 degrees to either side. What the photo's own light left in the picture stays there.
"""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from components.core.errors import ConfigError, DataError
from components.synthesis.renders.models import Material, Model, Surface, stand

Shape = Literal["carton", "bottle", "can", "card"]
SHAPES: tuple[Shape, ...] = ("carton", "bottle", "can", "card")
HEIGHTS_M: dict[Shape, float] = {"carton": 0.22, "bottle": 0.25, "can": 0.12, "card": 0.15}

_CARTON_DEPTH = 0.55  # of its width
_NUM_SIDES = 64
_NUM_RINGS = 72
_MAX_SIDE_PX = 512
_ROUGHNESS: dict[Shape, float] = {"carton": 0.6, "bottle": 0.4, "can": 0.35, "card": 0.7}
_MIN_COVERED = 0.005

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Points = NDArray[np.float64]


def wrap_picture(rgba: Pixels, shape: Shape, *, name: str = "picture", height_m: float | None = None) -> Model:
    """A cut-out RGBA (H, W, 4) uint8 on a solid of real height `height_m` (a usual one of the shape by default).

    ConfigError for an unknown shape, DataError for a cut-out that is empty or no RGBA picture.
    """
    if shape not in SHAPES:
        raise ConfigError(f"the shape to wrap {name} on is {shape!r}, allowed are {', '.join(SHAPES)}")
    picture, mask = _cropped(rgba, name)
    filled = _filled(picture, mask)
    height = HEIGHTS_M[shape] if height_m is None else height_m
    if not 0.001 <= height <= 10:
        raise DataError(f"height_m of {name} is {height}, allowed are 0.001 to 10 metres")
    width = height * mask.shape[1] / mask.shape[0]
    material = Material(base_colour=(1.0, 1.0, 1.0), base_texture=filled, roughness=_ROUGHNESS[shape])
    if shape == "carton":
        surfaces = _carton(filled, width, height)
    elif shape == "bottle":
        surfaces = [_turned(_outline(mask) * (width / 2), height, material)]
    elif shape == "can":
        surfaces = [_turned(np.full(_NUM_RINGS, width / 2), height, material)]
    else:
        surfaces = [_card(mask, width, height, material)]
    return stand(surfaces, name=name)


def straight(layer: Pixels) -> Pixels:
    """Premultiplied RGBA (H, W, 4) uint8 with its colours as they were before."""
    alpha = layer[..., 3:].astype(np.float32)
    colour = np.where(alpha > 0, layer[..., :3] * (255 / np.maximum(alpha, 1)), 0)
    return np.dstack([colour.clip(0, 255).round().astype(np.uint8), layer[..., 3]])


def guess_shape(rgba: Pixels, *, name: str = "picture") -> Shape:
    """The solid that a cut-out's outline suggests: how full its box is, how slim, and how alike its two sides."""
    _, mask = _cropped(rgba, name)
    height, width = mask.shape
    solidity, slimness = float(mask.mean()), height / width
    outline = _outline(mask)
    evenness = float(np.std(outline))
    mirrored = float((mask == mask[:, ::-1]).mean())
    if solidity > 0.88:
        return "can" if slimness < 2.5 and _round_base(mask) else "carton"
    if mirrored > 0.86 and slimness > 0.6 and evenness > 0.04:
        return "bottle"
    return "carton" if solidity > 0.8 else "card"


def _cropped(rgba: Pixels, name: str) -> tuple[Pixels, Mask]:
    """RGB and coverage of the cut-out's bounding box."""
    if rgba.ndim != 3 or rgba.shape[-1] != 4 or rgba.dtype != np.uint8:
        raise DataError(f"{name} is {rgba.dtype} of shape {rgba.shape}, a cut-out is uint8 (height, width, 4)")
    covered = rgba[..., 3] > 127
    rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
    if covered.mean() < _MIN_COVERED or rows[-1] - rows[0] < 4 or columns[-1] - columns[0] < 4:
        raise DataError(f"the cut-out of {name} is empty or a speck; check its mask, or leave it out")
    part = rgba[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = _MAX_SIDE_PX / max(part.shape[:2])
    if scale < 1:
        part = cv2.resize(part, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return np.ascontiguousarray(part[..., :3]), np.asarray(part[..., 3] > 127)


def _filled(picture: Pixels, mask: Mask) -> Pixels:
    """The picture with the nearest covered colour wherever it is not covered, or barely, as at blended edges."""
    margin = max(1, min(mask.shape) // 60)
    kernel = np.ones((2 * margin + 1, 2 * margin + 1), np.uint8)
    inner = cv2.erode(np.pad(mask.astype(np.uint8), margin), kernel)[margin:-margin, margin:-margin]
    if not inner.any():
        inner = mask.astype(np.uint8)
    _, nearest = cv2.distanceTransformWithLabels(1 - inner, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(int(nearest.max()) + 1, np.int64)
    places[nearest[inner > 0]] = np.flatnonzero(inner.reshape(-1))
    return np.ascontiguousarray(picture.reshape(-1, 3)[places[nearest]])


def _outline(mask: Mask) -> Points:
    """The half width (_NUM_RINGS,) of the cut-out from bottom to top, as share of half its box, smoothed."""
    widths = mask.sum(axis=1)[::-1] / mask.shape[1]
    rows = np.linspace(0, len(widths) - 1, _NUM_RINGS)
    sampled = np.interp(rows, np.arange(len(widths)), widths)
    return np.convolve(np.pad(sampled, 2, mode="edge"), np.ones(5) / 5, mode="valid").clip(0.01, 1)


def _round_base(mask: Mask) -> bool:
    """Whether the outline's lower edge is half an ellipse, as a cylinder's is; a box seen at an angle has a corner."""
    height, width = mask.shape
    lowest = np.where(mask.any(axis=0), height - 1 - np.argmax(mask[::-1], axis=0), 0)
    rise = (lowest.max() - lowest) / height
    places = np.array([0.03, 0.25, 0.5, 0.75, 0.97]) * (width - 1)
    left, half_left, middle, half_right, right = np.interp(places, np.arange(width), rise).tolist()
    edge = (left + right) / 2
    even = abs(left - right) < 0.4 * edge and middle < 0.1 * edge
    return bool(edge > 0.015 and even and (half_left + half_right) / 2 < 0.35 * edge)


def _turned(radii: Points, height: float, material: Material) -> Surface:
    """A solid of revolution, its picture seen from the front, and mirrored behind; closed at both ends."""
    rings = np.concatenate([[0.0], radii, [0.0]])
    levels = np.concatenate([[0.0], np.linspace(0, height, len(radii)), [height]])
    angles = np.linspace(-np.pi, np.pi, _NUM_SIDES + 1)  # 0 is the front; the seam lies behind
    flat = np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    body = _ring_points(radii, np.linspace(0, height, len(radii)), flat)
    slope = np.gradient(radii, height / (len(radii) - 1))
    sides = np.concatenate(
        [
            np.broadcast_to(flat, (len(radii), *flat.shape)),
            np.broadcast_to(-slope[:, None, None], (*body.shape[:2], 1)),
        ],
        axis=-1,
    )
    points = np.concatenate(
        [_ring_points(rings[:2], levels[:2], flat), body, _ring_points(rings[-2:], levels[-2:], flat)]
    )
    ends = np.broadcast_to([0.0, 0.0, 1.0], (2, len(flat), 3))
    normals = np.concatenate([-ends, sides / np.linalg.norm(sides, axis=-1, keepdims=True), ends])
    across = 0.5 + points[..., 0] / (2.12 * radii.max())  # short of the edge, which the photo's background blends into
    across = np.where(np.arange(len(points))[:, None] < 2, 0.5 + (across - 0.5) * 0.98, across)
    uvs = np.stack([across, (points[..., 2] / height).clip(0.01, 0.99)], axis=-1)
    faces = np.concatenate([_grid_faces(first, last, len(flat)) for first, last in
                            ((0, 2), (2, 2 + len(radii)), (2 + len(radii), 4 + len(radii)))])  # fmt: skip
    return _surface(points.reshape(-1, 3), normals.reshape(-1, 3), faces, uvs.reshape(-1, 2), material)


def _ring_points(radii: Points, levels: Points, flat: Points) -> Points:
    """Rings (R, S, 3) of the given radii and levels around the vertical axis."""
    around = radii[:, None, None] * flat[None]
    return np.concatenate([around, np.broadcast_to(levels[:, None, None], (*around.shape[:2], 1))], axis=-1)


def _grid_faces(first: int, last: int, num_columns: int) -> NDArray[np.int64]:
    """Triangles between the rings from `first` to before `last`, each of `num_columns` points."""
    ring, step = np.meshgrid(np.arange(first, last - 1), np.arange(num_columns - 1), indexing="ij")
    a = (ring * num_columns + step).reshape(-1)
    b, c, d = a + 1, a + num_columns + 1, a + num_columns
    return np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])


def _carton(picture: Pixels, width: float, height: float) -> list[Surface]:
    """A box: the picture in front and behind, the colours of its edges, stretched, on the other sides."""
    x, y, z = width / 2, width * _CARTON_DEPTH / 2, height
    left, right = _strip(picture, slice(None, _margin(picture, 1))), _strip(picture, slice(-_margin(picture, 1), None))
    sideways = np.ascontiguousarray(picture.transpose(1, 0, 2))
    top, bottom = (
        np.ascontiguousarray(_strip(sideways, part).transpose(1, 0, 2))
        for part in (slice(None, _margin(picture, 0)), slice(-_margin(picture, 0), None))
    )
    quads: list[tuple[list[tuple[float, float, float]], tuple[float, float, float], Pixels]] = [
        ([(-x, -y, 0), (x, -y, 0), (x, -y, z), (-x, -y, z)], (0, -1, 0), picture),
        ([(x, y, 0), (-x, y, 0), (-x, y, z), (x, y, z)], (0, 1, 0), picture),
        ([(x, -y, 0), (x, y, 0), (x, y, z), (x, -y, z)], (1, 0, 0), right),
        ([(-x, y, 0), (-x, -y, 0), (-x, -y, z), (-x, y, z)], (-1, 0, 0), left),
        ([(-x, -y, z), (x, -y, z), (x, y, z), (-x, y, z)], (0, 0, 1), top),
        ([(-x, y, 0), (x, y, 0), (x, -y, 0), (-x, -y, 0)], (0, 0, -1), bottom),
    ]
    corners, faces = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64), np.array([[0, 1, 2], [0, 2, 3]])
    return [
        _surface(
            np.array(points),
            np.tile(np.array(normal), (4, 1)),
            faces,
            corners,
            Material(base_colour=(1.0, 1.0, 1.0), base_texture=texture, roughness=_ROUGHNESS["carton"]),
        )
        for points, normal, texture in quads
    ]


def _margin(picture: Pixels, axis: int) -> int:
    return max(1, int(picture.shape[axis]) // 12)


def _strip(picture: Pixels, columns: slice) -> Pixels:
    """The mean colour of some columns in each row, half blurred away: what a side that nobody saw may look like."""
    rows = np.median(picture[:, columns], axis=1).astype(np.float32)[:, None]
    soft = (
        cv2.GaussianBlur(rows, (1, len(rows) // 5 * 2 + 1), sigmaX=1.0, sigmaY=max(1.0, len(rows) / 20))
        if len(rows) > 1
        else rows
    )
    blend = (soft.reshape(rows.shape) * 0.7 + np.median(rows, axis=0) * 0.3).clip(0, 255)
    return np.ascontiguousarray(np.repeat(blend, 8, axis=1).astype(np.uint8))


def _card(mask: Mask, width: float, height: float, material: Material) -> Surface:
    """A standing sheet with the cut-out's outline, as squares of a grid; both sides show the picture."""
    rows, columns = mask.shape
    row, column = np.nonzero(mask)
    corner = row * (columns + 1) + column
    quads = np.stack([corner + columns + 1, corner + columns + 2, corner + 1, corner], axis=1)
    used, faces = np.unique(quads[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3), return_inverse=True)
    down, across = np.divmod(used, columns + 1)
    uvs = np.stack([across / columns, 1 - down / rows], axis=1)
    points = np.stack([(uvs[:, 0] - 0.5) * width, np.zeros(len(uvs)), uvs[:, 1] * height], axis=1)
    normals = np.tile(np.array([0.0, -1.0, 0.0]), (len(points), 1))
    return _surface(points, normals, faces.reshape(-1, 3), uvs, material)


def _surface(points: Points, normals: Points, faces: NDArray[np.integer], uvs: Points, material: Material) -> Surface:
    return Surface(
        vertices=points.astype(np.float32),
        normals=normals.astype(np.float32),
        faces=faces.astype(np.int32),
        uvs=uvs.astype(np.float32),
        material=material,
    )

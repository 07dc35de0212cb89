"""Sets a relit object into a picture: its place in the frame, its shadow on the background, what covers it.

Everything is done in scene-linear light. The object's colours and one factor for the background, which holds
coverage and shadow alike, are moved into the frame together: `picture = background * factor + colours`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from components.synthesis.pastes.layers import Look, lay
from components.synthesis.pastes.occluders import Target, draw_bar, draw_hand, draw_tag
from components.synthesis.picture.camera import Floats, sometimes, to_linear
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.picture.geometry import Geometry
from components.synthesis.picture.pictures import Pixels
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.relighting import Relit
from components.synthesis.renders.transfers import Transfer

OCCLUDERS = {"hand": draw_hand, "bar": draw_bar, "tag": draw_tag}
_SHARES = (0.45, 0.35, 0.2)
_COARSE_PX = 32  # side of the thumbnails on which an occluder is put in place
_REACH_PX = 12  # of these thumbnails: how far it is moved at most
_LEAST_HIDDEN = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a view's object is put: its middle in pixels of the frame, its enlargement, its turn clockwise."""

    size_px: int
    centre: tuple[float, float]
    zoom: float
    turn_deg: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Silhouette:
    """What of a view is needed to frame it: coverage (H, W) as float32 and uint8, box middle and longer side."""

    keep: Floats
    coverage: Pixels
    middle: tuple[float, float]
    side_px: float
    area_px: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Occlusion:
    """Something in front: sRGB colours premultiplied (S, S, 3) uint8, and what it leaves of what is behind (S, S)."""

    colours: Pixels
    left: Pixels


def silhouette(transfer: Transfer) -> Silhouette:
    """The outline of a transfer's object."""
    alpha = transfer.alpha.astype(np.float32)
    rows, columns = np.flatnonzero(alpha.max(axis=1) > 0.02), np.flatnonzero(alpha.max(axis=0) > 0.02)
    assert rows.size, f"the transfer {transfer.digest[:12]} shows no object"
    left, top, right, bottom = columns[0], rows[0], columns[-1] + 1, rows[-1] + 1
    return Silhouette(
        keep=1 - alpha,
        coverage=np.asarray(cv2.convertScaleAbs(alpha, alpha=255.0)),
        middle=(float(left + right - 1) / 2, float(top + bottom - 1) / 2),
        side_px=float(max(right - left, bottom - top)),
        area_px=float(alpha.sum()),
    )


def draw_placement(shape: Silhouette, config: RendersConfig, factors: FactorDraw, size_px: int) -> Placement:
    """Draw how large, where and how turned an object lies in a frame; small ones stray farther from the middle."""
    scale = factors.log_uniform("scale", *config.scale)
    slack = config.offset + max(0.0, 0.5 - scale / 2)
    x = 0.5 + factors.uniform("offset_x", -slack, slack)
    y = 0.5 + factors.uniform("offset_y", -slack / 2, slack)  # things stand low in a picture rather than high
    return Placement(
        size_px=size_px,
        centre=(x * size_px - 0.5, y * size_px - 0.5),
        zoom=scale * size_px / shape.side_px,
        turn_deg=factors.uniform("roll_deg", -config.roll_deg, config.roll_deg),
    )


def set_in(background: Floats, relit: Relit, shape: Silhouette, placement: Placement) -> Floats:
    """The background (S, S, 3), changed in place, with a relit object and its shadow set into it."""
    factor = cv2.multiply(shape.keep, relit.shade)
    layer = np.asarray(cv2.merge([*relit.planes, factor]))
    moved = _moved(layer, shape, placement, (0.0, 0.0, 0.0, 1.0))
    cv2.multiply(background, cv2.cvtColor(cv2.extractChannel(moved, 3), cv2.COLOR_GRAY2RGB), dst=background)
    return np.asarray(cv2.add(background, cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB), dst=background))


def place_mask(shape: Silhouette, placement: Placement) -> Pixels:
    """The object's coverage (S, S) uint8 in the frame, before anything covers it."""
    return np.asarray(_moved(shape.coverage, shape, placement, 0.0))


def draw_occlusion(mask: Pixels, config: RendersConfig, factors: FactorDraw) -> Occlusion | None:
    """Draw what covers a share of the object, and move it to where it covers about the drawn share; None for nothing.

    `f_occlusion` is the share of what is in the frame that is really hidden, and `f_occluder` names by what. Where
    the aim is at occluders alone something always covers, as far as there is a place for it.
    """
    probability = config.occlusion_probability
    if probability and not factors.allows("occluder", "none"):
        probability = 1.0
    elif not any(factors.allows("occluder", kind) for kind in OCCLUDERS):
        probability = 0.0
    wanted = sometimes(factors, "occlusion", config.most_hidden, probability)
    kinds = list(OCCLUDERS)
    kind, made = factors.choice("occluder", kinds, _SHARES), None
    total, hidden = cv2.sumElems(mask)[0], 0.0
    if wanted > _LEAST_HIDDEN and total:
        made = _covering(kind, mask, wanted, factors.rng)
        hidden = 1 - cv2.sumElems(cv2.multiply(mask, made.left, scale=1 / 255))[0] / total
    if not _LEAST_HIDDEN < hidden <= config.most_hidden + 0.1:
        made, hidden = None, 0.0
    factors.note("occlusion", hidden)
    factors.note("occluder", kind if made is not None else "none")
    return made


def cover(scene: Floats, mask: Pixels, occlusion: Occlusion, *, level: float) -> None:
    """Lay what covers, lit by the level of its surroundings, over the scene (S, S, 3) and the mask, both in place."""
    left = cv2.cvtColor(occlusion.left, cv2.COLOR_GRAY2RGB)
    cv2.multiply(scene, left, dst=scene, scale=1 / 255, dtype=cv2.CV_32F)
    cv2.scaleAdd(to_linear(occlusion.colours), level, scene, dst=scene)
    hide(mask, occlusion)


def hide(mask: Pixels, occlusion: Occlusion) -> None:
    """Take what is covered from the mask (S, S), in place."""
    cv2.multiply(mask, occlusion.left, dst=mask, scale=1 / 255)


def geometry(transfer: Transfer, shape: Silhouette, placement: Placement, mask: Pixels) -> Geometry:
    """Depth and normals of a picture whose object was placed so and is seen where `mask` is over half.

    A pixel has the values of the nearest one of the view that the object touches: nothing is interpolated over edges.
    """
    normals = transfer.normals.astype(np.float32) @ _picture_axes(transfer, placement).T
    layer = np.dstack([normals, transfer.depth.astype(np.float32)])
    filled = layer.reshape(-1, 4)[_nearest(transfer.depth > 0)]
    size = (placement.size_px, placement.size_px)
    moved: Floats = np.asarray(
        cv2.warpAffine(filled, _matrix(shape, placement), size, flags=cv2.INTER_NEAREST), np.float32
    )
    moved[mask <= 127] = 0
    return Geometry(mask=mask, depth=moved[..., 3], normals=moved[..., :3])


def _picture_axes(transfer: Transfer, placement: Placement) -> Floats:
    """The picture's right and up and the way to the camera, rows (3, 3) in world axes."""
    right, up, forward = transfer.view.frame
    turn = np.radians(placement.turn_deg)
    cosine, sine = np.cos(turn), np.sin(turn)
    return np.stack([cosine * right + sine * up, cosine * up - sine * right, -forward]).astype(np.float32)


def _nearest(known: NDArray[np.bool_]) -> NDArray[np.intp]:
    """For each pixel (H, W) the flat index of the nearest one that is known."""
    unknown = np.asarray(~known, np.uint8)
    _, labels = cv2.distanceTransformWithLabels(unknown, cv2.DIST_L2, 3, labelType=cv2.DIST_LABEL_PIXEL)
    places = np.zeros(int(labels.max()) + 1, np.intp)
    places[labels[known]] = np.flatnonzero(known)
    return np.asarray(places[labels])


def _covering(kind: str, mask: Pixels, wanted: float, rng: np.random.Generator) -> Occlusion:
    """An occluder, shifted to where it hides about the wanted share of the mask."""
    size_px = mask.shape[0]
    small = cv2.resize(mask, (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    sums = cv2.moments(small)
    x, y = ((sums[name] / max(sums["m00"], 1.0) + 0.5) / _COARSE_PX for name in ("m10", "m01"))
    target = Target(x=x, y=y, area=wanted * sums["m00"] / (255 * _COARSE_PX**2))
    layer = np.zeros((size_px, size_px, 4), np.uint8)
    layer[..., 3] = 255
    lay(layer, OCCLUDERS[kind](Look(size_px=size_px), rng, target), 0, 0)  # the fourth plane is what is left
    left = cv2.resize(cv2.extractChannel(layer, 3), (_COARSE_PX, _COARSE_PX), interpolation=cv2.INTER_AREA)
    border = (_REACH_PX,) * 4
    covered = cv2.copyMakeBorder(cv2.bitwise_not(left), *border, cv2.BORDER_REPLICATE).astype(np.float32)
    hidden = cv2.matchTemplate(covered, small, cv2.TM_CCORR) / (255 * max(sums["m00"], 1.0))
    down, across = np.unravel_index(int(np.argmin(np.abs(hidden - wanted))), hidden.shape)
    unit = size_px / _COARSE_PX
    shift = np.array([[1, 0, (_REACH_PX - across) * unit], [0, 1, (_REACH_PX - down) * unit]], np.float64)
    moved = cv2.warpAffine(layer, shift, (size_px, size_px), flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    colours = np.asarray(cv2.cvtColor(moved, cv2.COLOR_RGBA2RGB))
    return Occlusion(colours=colours, left=np.asarray(cv2.extractChannel(moved, 3)))


def _moved(
    layer: NDArray[Any], shape: Silhouette, placement: Placement, outside: float | tuple[float, ...]
) -> NDArray[Any]:
    size = (placement.size_px, placement.size_px)
    matrix = _matrix(shape, placement)
    if placement.zoom <= 0.5:
        layer = cv2.resize(layer, (layer.shape[1] // 2, layer.shape[0] // 2), interpolation=cv2.INTER_AREA)
        matrix = matrix @ np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]])
    return np.asarray(cv2.warpAffine(layer, matrix, size, flags=cv2.INTER_LINEAR, borderValue=outside))


def _matrix(shape: Silhouette, placement: Placement) -> NDArray[np.float64]:
    """From pixels of the view to pixels of the frame (2, 3)."""
    turn = np.radians(placement.turn_deg)
    cosine, sine = placement.zoom * np.cos(turn), placement.zoom * np.sin(turn)
    (x, y), (to_x, to_y) = shape.middle, placement.centre
    return np.array([[cosine, -sine, to_x - cosine * x + sine * y], [sine, cosine, to_y - sine * x - cosine * y]])

"""Lights a view: a matrix product of its transfer with many lights at once, in blocks of one fixed shape.

The bits of a matrix product depend on its shape, on a column's place in it and on the number of threads. So all
products here have the shape (BLOCK, NUM_LIGHTS) x (NUM_LIGHTS, TILE), too small to be shared among threads, and
an image keeps its slot, `number % BLOCK`, whether it is lit alone or among others: its pixels are the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from components.synthesis.light.lobes import NUM_LIGHTS
from components.synthesis.picture.camera import Floats
from components.synthesis.renders.transfers import Transfer

BLOCK = 32
TILE = 176  # BLOCK * TILE * NUM_LIGHTS stays under the size from which OpenBLAS uses several threads
_DARK = np.float32(1e-6)  # of light: without any there is no shadow either
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A transfer as float32, in tiles that products read in order.

    `object_tiles` (T, 3, NUM_LIGHTS, TILE) and `ground_tiles` (G, NUM_LIGHTS, TILE) are filled up with zeros;
    `object_targets` (T * 3 * TILE,) are places in planes (3, H * W), and one past them for what fills up;
    `ground_targets` (G * TILE,) likewise in one plane.
    """

    transfer: Transfer
    object_tiles: Floats
    object_targets: NDArray[np.intp]
    ground_tiles: Floats
    ground_targets: NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relit:
    """A view in one light, scene-linear float32: the object premultiplied (3, H, W), and light on the ground (H, W).

    The ground's light is a share of what falls where no object stands: 1 where there is no shadow.
    """

    planes: Floats
    shade: Floats


def prepare(transfer: Transfer) -> Prepared:
    """Convert a transfer once for many relightings; shadows fade out towards the picture's border."""
    area = transfer.size_px**2
    bare = transfer.open_ground
    shaded = (transfer.ground - bare) * _fade(transfer)[:, None] + bare
    places = np.stack([_filled(transfer.pixels + plane * area, 3 * area) for plane in range(3)], axis=1)
    return Prepared(
        transfer=transfer,
        object_tiles=_tiled(transfer.response),
        object_targets=places.reshape(-1),
        ground_tiles=_tiled(shaded[..., None])[:, 0],
        ground_targets=_filled(transfer.ground_pixels, area).reshape(-1),
    )


def relight(prepared: Prepared, lights: Floats, *, first: int = 0) -> list[Relit]:
    """The view in each of `lights` (B, NUM_LIGHTS, 3), which are the lights of images `first` and following.

    The result for an image depends on its light and its number alone, not on which others are lit with it.
    """
    assert lights.ndim == 3 and lights.shape[1:] == (NUM_LIGHTS, 3), f"lights have shape {lights.shape}"
    relit: list[Relit] = []
    while len(relit) < len(lights):
        slot = (first + len(relit)) % BLOCK
        part = lights[len(relit) : len(relit) + BLOCK - slot]
        block = np.zeros((BLOCK, NUM_LIGHTS, 3), np.float32)
        block[slot : slot + len(part)] = part
        relit += _relit_block(prepared, block, slice(slot, slot + len(part)))
    return relit


def _relit_block(prepared: Prepared, block: Floats, slots: slice) -> list[Relit]:
    grey = block @ _LUMINANCE
    colours = np.matmul(np.ascontiguousarray(block.transpose(2, 0, 1)), prepared.object_tiles)  # (T, 3, BLOCK, TILE)
    shades = np.matmul(grey, prepared.ground_tiles)  # (G, BLOCK, TILE)
    bare = (grey * prepared.transfer.open_ground).sum(axis=1) + _DARK
    return [
        _spread_out(prepared, colours[:, :, slot], (shades[:, slot] + _DARK) / bare[slot])
        for slot in range(slots.start, slots.stop)
    ]


def _spread_out(prepared: Prepared, colours: Floats, shades: Floats) -> Relit:
    """Put the values of listed pixels at their places."""
    size_px = prepared.transfer.size_px
    planes = np.zeros(3 * size_px * size_px + 1, np.float32)
    planes[prepared.object_targets] = colours.reshape(-1)
    shade = np.ones(size_px * size_px + 1, np.float32)
    shade[prepared.ground_targets] = shades.reshape(-1)
    return Relit(planes=planes[:-1].reshape(3, size_px, size_px), shade=shade[:-1].reshape(size_px, size_px))


def _tiled(response: NDArray[np.floating]) -> Floats:
    """A response (N, NUM_LIGHTS, C) as float32 in tiles (N / TILE, C, NUM_LIGHTS, TILE), zeros at the end."""
    number, _, channels = response.shape
    tiles = np.zeros((-(-number // TILE), channels, NUM_LIGHTS, TILE), np.float32)
    for tile, start in zip(tiles, range(0, number, TILE), strict=True):
        part = response[start : start + TILE]
        tile[..., : len(part)] = part.transpose(2, 1, 0)
    return tiles


def _filled(places: NDArray[np.integer], spare: int) -> NDArray[np.intp]:
    """Places (N,) in tiles (N / TILE, TILE), those that fill up pointing to the spare one."""
    return np.pad(places.astype(np.intp), (0, -len(places) % TILE), constant_values=spare).reshape(-1, TILE)


def _fade(transfer: Transfer) -> Floats:
    """How much of the shadow is kept (Q,): all of it inside, none at the border, so that no edge shows."""
    row, column = np.divmod(transfer.ground_pixels, transfer.size_px)
    last = transfer.size_px - 1
    inset = np.minimum(np.minimum(row, last - row), np.minimum(column, last - column))
    return np.asarray((inset / (0.06 * transfer.size_px)).clip(0, 1), np.float32)

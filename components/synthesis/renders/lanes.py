"""The samples of a traced view, one lane each, in Dr.Jit's arrays: their random numbers, camera rays and lobes.

Each pixel's samples are an Owen-scrambled Sobol net (Burley, "Practical Hash-based Owen Scrambling", 2020).
Sizes and seeds are opaque to the compiler, so that one kernel serves all views.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.synthesis.light.lobes import MAP_SIDE, NUM_SUNS, SUN_HALF_ANGLE_DEG, sun_directions
from components.synthesis.renders.transfers import Tracing, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A scene that stands ready, with the camera's numbers: the middle it looks at and the model's radius."""

    scene: Any
    view: View
    tracing: Tracing
    middle_m: tuple[float, float, float]
    radius_m: float

    @property
    def num_samples(self) -> int:
        """Samples a pixel: every sun gets the same power of two."""
        per_sun = max(1, -(-self.tracing.num_paths // NUM_SUNS))
        return NUM_SUNS * (1 << (per_sun - 1).bit_length())


class Lanes:
    """One lane a sample: which pixel and which of its samples, and that sample's random numbers."""

    def __init__(self, stage: Stage, pixels: NDArray[np.uint32], num_samples: int) -> None:
        import drjit as dr
        import mitsuba as mi

        self.stage = stage
        count = dr.opaque(mi.UInt32, num_samples)
        lane = dr.arange(mi.UInt32, len(pixels) * num_samples)
        self.slot = lane // count
        self.sample = lane - self.slot * count
        self._pixels = mi.UInt32(pixels)
        self._mask = dr.opaque(mi.UInt32, (1 << (num_samples - 1).bit_length()) - 1)
        self._seed = dr.opaque(mi.UInt32, stage.tracing.seed & 0xFFFFFFFF)
        self._per_sun = dr.opaque(mi.UInt32, max(1, num_samples // NUM_SUNS))
        self._suns = mi.Float(sun_directions().astype(np.float32).ravel())
        self.share = dr.opaque(mi.Float, 1.0 / num_samples)

    def keep(self, chosen: Any) -> None:
        """Go on with the chosen lanes alone."""
        import drjit as dr

        self.slot, self.sample = (
            dr.gather(type(self.slot), self.slot, chosen),
            dr.gather(type(self.sample), self.sample, chosen),
        )

    @property
    def pixel(self) -> Any:
        """The flat index of each lane's pixel."""
        import drjit as dr

        return dr.gather(type(self.slot), self._pixels, self.slot)

    @property
    def sun(self) -> Any:
        """The sun of each lane: a pixel's samples go to the suns in blocks, which are nets of their own."""
        return self.sample // self._per_sun

    def place_in_pixel(self) -> Any:
        """Two numbers in 0..1, stratified over a pixel's samples and over each sun's."""
        return self._pair(self.sample, 0)

    def pair(self, dimension: Any) -> Any:
        """Two more of them; `dimension` is from 1, a number or opaque. Shuffling keeps the suns' blocks whole."""
        key = _hashed(self.pixel * 64 + dimension) ^ self._seed
        return self._pair(_scrambled_bits(self.sample, _hashed(key)), dimension)

    def _pair(self, index: Any, dimension: Any) -> Any:
        import mitsuba as mi

        key = _hashed(self.pixel * 64 + dimension) ^ _hashed(self._seed + 977)
        first, second = _sobol(index & self._mask)
        x, y = _scrambled_bits(first, _hashed(key + 1)), _scrambled_bits(second, _hashed(key + 2))
        return mi.Point2f(mi.Float(x >> 8), mi.Float(y >> 8)) * (1.0 / 2**24)

    def camera_ray(self, jitter: Any) -> Any:
        """A ray through a place in the lane's pixel."""
        import drjit as dr
        import mitsuba as mi

        view, size = self.stage.view, self.stage.tracing.size_px
        columns = dr.opaque(mi.UInt32, size)
        pixel = self.pixel
        row = pixel // columns
        column = pixel - row * columns
        reach = dr.opaque(mi.Float, float(np.tan(np.radians(view.fov_deg / 2))))
        step = dr.opaque(mi.Float, 2.0 / size)
        x = ((mi.Float(column) + jitter.x) * step - 1) * reach
        y = (1 - (mi.Float(row) + jitter.y) * step) * reach
        right, up, forward = (constant(axis) for axis in view.frame)
        origin = np.asarray(self.stage.middle_m) + view.toward * view.distance_m
        return mi.Ray3f(mi.Point3f(constant(origin)), dr.normalize(forward + right * x + up * y))

    def sun_direction(self, sun: Any, place: Any) -> Any:
        """A direction within the disc of a sun."""
        import drjit as dr
        import mitsuba as mi

        middle = mi.Vector3f(*[dr.gather(mi.Float, self._suns, sun * 3 + axis) for axis in range(3)])
        narrowest: Any = mi.Float(np.cos(np.radians(SUN_HALF_ANGLE_DEG)))
        inside = mi.warp.square_to_uniform_cone(place, narrowest)
        return mi.Frame3f(middle).to_world(inside)


def lobes_around(direction: Any) -> list[tuple[Any, Any]]:
    """Index and weight of the four lobes around a direction, as `lobes.lobe_weights` has them."""
    import drjit as dr
    import mitsuba as mi

    scale = 1 / (dr.abs(direction.x) + dr.abs(direction.y) + dr.abs(direction.z))
    x, y = direction.x * scale, direction.y * scale
    below = direction.z < 0
    u = dr.select(below, (1 - dr.abs(y)) * dr.select(x < 0, -1.0, 1.0), x)
    v = dr.select(below, (1 - dr.abs(x)) * dr.select(y < 0, -1.0, 1.0), y)
    half, last = MAP_SIDE / 2, MAP_SIDE - 1
    place = mi.Point2f(u * half + (half - 0.5), v * half + (half - 0.5))
    low = dr.floor(place)
    share = place - low
    found = []
    for right in (0, 1):
        for down in (0, 1):
            column, row = mi.Int32(low.x) + right, mi.Int32(low.y) + down
            row = dr.select((column < 0) | (column > last), last - row, row)
            column = dr.clip(column, 0, last)
            column = dr.select((row < 0) | (row > last), last - column, column)
            row = dr.clip(row, 0, last)
            weight = (share.x if right else 1 - share.x) * (share.y if down else 1 - share.y)
            found.append((mi.UInt32(row * MAP_SIDE + column), weight))
    return found


def constant(vector: NDArray[np.float64]) -> Any:
    """A vector that the compiler does not know."""
    import drjit as dr
    import mitsuba as mi

    return mi.Vector3f(*[dr.opaque(mi.Float, float(value)) for value in vector])


def _hashed(value: Any) -> Any:
    """A 32-bit mix (Wellons' lowbias32)."""
    value = (value ^ (value >> 16)) * 0x7FEB352D
    value = (value ^ (value >> 15)) * 0x846CA68B
    return value ^ (value >> 16)


def _scrambled_bits(value: Any, seed: Any) -> Any:
    """Owen scrambling of a fraction whose highest bit is bit 31, by Laine and Karras' hash on reversed bits."""
    import drjit as dr

    return dr.brev(_mixed_upward(dr.brev(value), seed))


def _mixed_upward(value: Any, seed: Any) -> Any:
    """Every bit depends on the lower ones alone (constants by Vegdahl, 2021)."""
    value = value ^ (value * 0x3D20ADEA)
    value = value + seed
    value = value * ((seed >> 16) | 1)
    value = value ^ (value * 0x05526C56)
    return value ^ (value * 0x53A22864)


def _sobol(index: Any) -> tuple[Any, Any]:
    """The first two Sobol dimensions of an index below 2 ** 16, as fractions of 2 ** 32.

    The second one's matrix is Pascal's triangle modulo 2: bit i gathers all bits whose number contains i's.
    """
    import drjit as dr

    second = index
    for shift, mask in ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF)):
        second = second ^ ((second >> shift) & mask)
    return dr.brev(index), dr.brev(second)

"""A transfer: how every light of the basis reaches every pixel of one view, so that relighting is one product.

Axes: x right, y away from the front camera, z up; the object stands on the ground z = 0, its bounding box
centred over the origin, and the camera looks at the middle of that box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_SENSOR_SIDE_MM = 36.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A camera on a sphere around the object's middle: azimuth from the front, elevation above the horizon.

    `focal_mm` is that of a sensor 36 mm wide, over the whole side of the square picture; `roll_deg` turns
    the picture's content clockwise.
    """

    azimuth_deg: float
    elevation_deg: float
    distance_m: float
    focal_mm: float = 50.0
    roll_deg: float = 0.0

    @property
    def fov_deg(self) -> float:
        """The angle that the picture's side spans."""
        return float(np.degrees(2 * np.arctan(_SENSOR_SIDE_MM / 2 / self.focal_mm)))

    @property
    def toward(self) -> NDArray[np.float64]:
        """The unit vector (3,) from the object's middle toward the camera."""
        azimuth, elevation = np.radians(self.azimuth_deg), np.radians(self.elevation_deg)
        flat = np.cos(elevation)
        return np.array([np.sin(azimuth) * flat, -np.cos(azimuth) * flat, np.sin(elevation)])

    @property
    def frame(self) -> NDArray[np.float64]:
        """Rows (3, 3): the picture's right and up and the way the camera looks, unit vectors in world axes."""
        azimuth, roll = np.radians(self.azimuth_deg), np.radians(self.roll_deg)
        level = np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
        upright = np.cross(level, -self.toward)
        right = np.cos(roll) * level + np.sin(roll) * upright
        return np.stack([right, np.cos(roll) * upright - np.sin(roll) * level, -self.toward])


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The light transport of one view. `response @ lights`, lights (NUM_LIGHTS, 3) by channel, is the picture.

    - `pixels` (P,) int32: flat indices (row * size_px + column) of the pixels that the object touches.
    - `response` (P, NUM_LIGHTS, 3) float16: linear radiance, premultiplied by alpha, per unit of each light.
    - `alpha` (H, W) float16: the object's coverage, 0 to 1.
    - `depth` (H, W) float16: metres along the optical axis, the mean over the covered part; 0 outside.
    - `normals` (H, W, 3) float16: unit vectors in world axes, the mean over the covered part; 0 outside.
    - `ground_pixels` (Q,) int32: flat indices of the pixels that show ground which the object may shade.
    - `ground` (Q, NUM_LIGHTS) float16: irradiance there with the object, per unit of each light.
    - `open_ground` (NUM_LIGHTS,) float32: irradiance of bare ground. The background is multiplied by
      `(ground @ light) / (open_ground @ light)`, which is 1 in every pixel that is not listed.
    - `height_m`: the object's real height; the camera looks at half of it.
    - `digest`: the sha256 of everything that the transfer was made from.
    """

    size_px: int
    view: View
    pixels: NDArray[np.int32]
    response: NDArray[np.float16]
    alpha: NDArray[np.float16]
    depth: NDArray[np.float16]
    normals: NDArray[np.float16]
    ground_pixels: NDArray[np.int32]
    ground: NDArray[np.float16]
    open_ground: NDArray[np.float32]
    height_m: float
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracing:
    """How a transfer is traced: its size, paths a pixel (rounded up to 24 times a power of two), seed and bounces.

    `ground_albedo` None leaves the object in the open, so that the lower lobes are the light that comes up
    from the floor. A number puts it on a grey, matt floor that reflects what falls on it, shadows included,
    and that no light passes.
    """

    size_px: int = 128
    num_paths: int = 384
    seed: int = 0
    max_bounces: int = 5
    ground_albedo: float | None = None

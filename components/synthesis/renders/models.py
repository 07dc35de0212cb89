"""A model: textured surfaces in metres that stand on the ground, whatever file, picture or builder they came from.

Z points up, the front faces -y, the lowest point is at z = 0 and the bounding box is centred over the origin.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from components.core.errors import DataError

Vectors = NDArray[np.float32]
Texture = NDArray[np.uint8]

MIN_SIZE_M, MAX_SIZE_M = 1e-3, 100.0
_MAX_SLENDERNESS = 1e3  # longest side over the second longest; needles come from broken scales


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A surface's look in the metallic-roughness terms of glTF 2.0, section 3.9.

    `base_colour` is linear RGB in 0..1 and multiplies `base_texture` (H, W, 3 or 4) uint8 in sRGB, whose fourth
    channel is coverage. `roughness` and `metallic`, 0..1, multiply `surface_texture` (H, W, 2) uint8.
    """

    base_colour: tuple[float, float, float] = (0.8, 0.8, 0.8)
    opacity: float = 1.0
    roughness: float = 0.6
    metallic: float = 0.0
    base_texture: Texture | None = None
    surface_texture: Texture | None = None
    specular: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """One mesh of one material: vertices and unit normals (V, 3), faces (F, 3).

    `uvs` (V, 2) have their origin at the texture's lower left; `colours` (V, 3) are linear RGB per vertex and
    count where there is no texture.
    """

    vertices: Vectors
    normals: Vectors
    faces: NDArray[np.int32]
    material: Material
    uvs: Vectors | None = None
    colours: Vectors | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Surfaces at their place, the box they fill, what was odd about them, and the digest of their content."""

    name: str
    surfaces: tuple[Surface, ...]
    size_m: tuple[float, float, float]
    digest: str
    warnings: tuple[str, ...] = ()

    @property
    def radius_m(self) -> float:
        """Half the diagonal of the bounding box: all of the model lies this near to the box's middle."""
        return float(np.linalg.norm(self.size_m) / 2)


def stand(
    surfaces: Sequence[Surface], *, name: str, longest_m: float | None = None, warnings: Sequence[str] = ()
) -> Model:
    """Set surfaces on the ground as one Model, scaled to `longest_m` where given.

    DataError for no surface, for NaN, and for a size that no object has (0, over 100 m, a needle).
    """
    if not sum(len(surface.faces) for surface in surfaces):
        raise DataError(f"{name} has no faces; export the mesh with its triangles, or leave it out")
    if not all(np.isfinite(surface.vertices).all() for surface in surfaces):
        raise DataError(f"{name} has NaN or infinite vertices; repair the mesh, or leave it out")
    low = np.min([s.vertices.min(axis=0) for s in surfaces], axis=0).astype(np.float64)
    high = np.max([s.vertices.max(axis=0) for s in surfaces], axis=0).astype(np.float64)
    scale = _scale(high - low, longest_m, name)
    middle = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    placed = tuple(
        replace(surface, vertices=((surface.vertices - middle) * scale).astype(np.float32)) for surface in surfaces
    )
    width, depth, height = ((high - low) * scale).tolist()
    return Model(
        name=name,
        surfaces=placed,
        size_m=(width, depth, height),
        digest=_digest(placed),
        warnings=tuple(warnings),
    )


def linear_from_srgb(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Decode sRGB values in 0..1 (IEC 61966-2-1)."""
    encoded = np.asarray(values, np.float64)
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)


def srgb_from_linear(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Encode linear values in 0..1 as sRGB (IEC 61966-2-1)."""
    linear = np.clip(np.asarray(values, np.float64), 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)


def _scale(size: NDArray[np.float64], longest_m: float | None, name: str) -> float:
    second, longest = np.sort(size)[1:].tolist()
    if longest_m is not None and longest > 0:
        if not 0 < longest_m <= MAX_SIZE_M:
            raise DataError(f"longest_m is {longest_m} for {name}, allowed is up to {MAX_SIZE_M:.0f} m")
        scale = longest_m / longest
    else:
        scale = 1.0
    if not MIN_SIZE_M <= longest * scale <= MAX_SIZE_M:
        raise DataError(
            f"{name} is {longest * scale:.3g} m long, allowed are {MIN_SIZE_M:g} to {MAX_SIZE_M:g} m; "
            "its unit may be no metre: give its real longest side as longest_m"
        )
    if longest > second * _MAX_SLENDERNESS:
        raise DataError(
            f"{name} is {longest:.3g} long but only {second:.3g} wide: its axes seem to be scaled unequally; "
            "export it again with its scale applied"
        )
    return float(scale)


def _digest(surfaces: Sequence[Surface]) -> str:
    hashed = hashlib.sha256()
    for surface in surfaces:
        look = surface.material
        arrays = (surface.vertices, surface.normals, surface.faces, surface.uvs, surface.colours)
        for array in (*arrays, look.base_texture, look.surface_texture):
            hashed.update(b"-" if array is None else repr((array.shape, array.dtype.str)).encode())
            hashed.update(b"" if array is None else np.ascontiguousarray(array).tobytes())
        hashed.update(repr((look.base_colour, look.opacity, look.roughness, look.metallic, look.specular)).encode())
    return hashed.hexdigest()

"""Turns the materials of a parsed mesh file into Detent's own: small textures, linear factors, no surprises."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.synthesis.renders.models import Material, Texture, linear_from_srgb

MAX_SIDE_PX = 1024  # sharper textures are invisible in the pictures that are made here


def material_of(mesh: Any, warnings: list[str]) -> Material:
    """The material of a trimesh mesh: PBR as it is, older ones by their diffuse colour and shininess.

    A texture that cannot be decoded is named in `warnings` and its factor stands in.
    """
    material = getattr(mesh.visual, "material", None)
    if material is None:
        return Material(base_colour=(1.0, 1.0, 1.0) if vertex_colours(mesh) is not None else (0.8, 0.8, 0.8))
    if hasattr(material, "materials"):  # several by face: the first stands for all
        material = material.materials[0] if material.materials else material
    if hasattr(material, "baseColorFactor"):
        return _from_gltf(material, warnings)
    return _from_shininess(material, warnings)


def vertex_colours(mesh: Any) -> NDArray[np.float64] | None:
    """Linear RGB (V, 3) of a mesh that has colours by vertex or by face and no texture, else None."""
    visual = mesh.visual
    if getattr(visual, "kind", None) not in ("vertex", "face"):
        return None
    colours = np.asarray(visual.vertex_colors, np.float64)[:, :3] / 255
    return linear_from_srgb(colours)


def _from_gltf(material: Any, warnings: list[str]) -> Material:
    factor = _factor(material.baseColorFactor)
    texture = _decoded(material.baseColorTexture, "RGBA", warnings)
    covered = (material.alphaMode or "OPAQUE") != "OPAQUE"
    if texture is not None and not (covered and texture[..., 3].min() < 255):
        texture = texture[..., :3]
    surface = _decoded(material.metallicRoughnessTexture, "RGB", warnings)
    metallic, roughness = material.metallicFactor, material.roughnessFactor
    return Material(
        base_colour=(factor[0], factor[1], factor[2]),
        opacity=factor[3] if covered else 1.0,
        metallic=_share(metallic, 1.0),  # the format's defaults
        roughness=_share(roughness, 1.0),
        base_texture=texture,
        surface_texture=None if surface is None else np.ascontiguousarray(surface[..., 1:]),
    )


def _from_shininess(material: Any, warnings: list[str]) -> Material:
    texture = _decoded(getattr(material, "image", None), "RGB", warnings)
    factor = _factor(getattr(material, "diffuse", None))
    if texture is not None and max(factor[:3]) < 0.05:  # exporters leave black beside a texture
        factor = [1.0, 1.0, 1.0, 1.0]
    shininess = np.nan_to_num(np.asarray(getattr(material, "glossiness", None) or 10.0, np.float64)).max()
    return Material(
        base_colour=(factor[0], factor[1], factor[2]),
        # the Blinn-Phong exponent of equal highlight width (Walter et al. 2007), as glTF's perceptual roughness
        roughness=float(np.clip((2 / (max(float(shininess), 0.0) + 2)) ** 0.25, 0.1, 1.0)),
        base_texture=texture,
    )


def _decoded(picture: Any, mode: str, warnings: list[str]) -> Texture | None:
    if picture is None:
        return None
    from PIL import Image

    try:
        converted = picture.convert(mode)
        converted.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), Image.Resampling.BOX)
        return np.array(converted)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        warnings.append(f"a texture cannot be decoded ({error}); its colour factor stands in")
        return None


def _factor(value: Any) -> list[float]:
    """RGBA in 0..1 from floats, from uint8 or from nothing (white)."""
    if value is None:
        return [1.0, 1.0, 1.0, 1.0]
    array = np.asarray(value)
    scale = 255.0 if array.dtype.kind in "ui" else 1.0
    numbers = np.nan_to_num(array.astype(np.float64).reshape(-1) / scale).clip(0, 1).tolist()
    return (numbers + [1.0] * 4)[:4] if len(numbers) >= 3 else [numbers[0]] * 3 + [1.0]


def _share(value: Any, default: float) -> float:
    return default if value is None else float(np.clip(np.nan_to_num(float(value)), 0, 1))

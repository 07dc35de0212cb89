"""Builds Mitsuba scenes from models: one surface model for every backend, so that all render the same thing.

A surface is a matt base under a GGX gloss of 4%, blended to a GGX metal by its metallic share. Unlike the
"principled" plugin, which returns up to 1.25 times the light it gets, no part of that creates energy.
Whatever is drawn here is drawn in the variant that is active (backends.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.synthesis.light.lobes import (
    NUM_LOBES,
    SUN_HALF_ANGLE_DEG,
    SUN_SOLID_ANGLE_SR,
    evaluate,
    sun_directions,
)
from components.synthesis.renders.models import Material, Model, Surface, linear_from_srgb, srgb_from_linear
from components.synthesis.renders.transfers import View

_GLOSS_SHARE = 0.04
_MIN_ROUGHNESS = 0.1  # sharper highlights are thinner than a lobe and than the disc of a sun
_SKY_HEIGHT_PX = 128
_FAR_RADII = 50.0
_SUN_RADII = 1000.0  # so far that its light is parallel all over the model
# how much of a uniform light a GGX metal of this alpha returns at most, in single scattering (measured)
_METAL_ALPHA = (0.0, 0.05, 0.1, 0.3, 0.5, 1.0)
_METAL_RETURN = (1.0, 1.0, 0.993, 0.88, 0.733, 0.497)


def build_scene(model: Model, extra: Mapping[str, Any] | None = None, *, black: bool = False) -> Any:
    """The model as a Mitsuba scene, with `extra` entries (lights, sensor, ...); `black` makes it swallow light."""
    import mitsuba as mi

    scene: dict[str, Any] = {"type": "scene"}
    for number, surface in enumerate(model.surfaces):
        scene[f"surface{number}"] = _mesh(surface, {"type": "diffuse", "reflectance": _grey(0.0)} if black else None)
    return mi.load_dict(scene | dict(extra or {}))


def sensor(model: Model, view: View, *, size_px: int, num_paths: int, pixels: str = "rgba") -> dict[str, Any]:
    """The camera of a view as Mitsuba describes it; the box filter keeps pixels independent of each other."""
    import mitsuba as mi

    middle = np.array([0.0, 0.0, model.size_m[2] / 2])
    origin = middle + view.toward * view.distance_m
    place = mi.ScalarTransform4f().look_at(origin.tolist(), middle.tolist(), view.frame[1].tolist())
    return {
        "type": "perspective",
        "fov": view.fov_deg,
        "near_clip": view.distance_m * 1e-3,
        "far_clip": view.distance_m * 1e4,
        "to_world": place,
        "film": {
            "type": "hdrfilm",
            "width": size_px,
            "height": size_px,
            "pixel_format": pixels,
            "component_format": "float32",
            "rfilter": {"type": "box"},
        },
        "sampler": {"type": "multijitter", "sample_count": num_paths},
    }


def sky(coefficients: NDArray[np.floating]) -> dict[str, Any]:
    """Lobe coefficients (NUM_LOBES, 3) as an environment; its rows lie on the poles, as the plugin reads them."""
    import mitsuba as mi

    height, width = _SKY_HEIGHT_PX + 1, 2 * _SKY_HEIGHT_PX
    polar = np.arange(height) / (height - 1) * np.pi
    turn = (np.arange(width) + 0.5) / width * 2 * np.pi
    flat = np.sin(polar)[:, None]
    up = np.broadcast_to(np.cos(polar)[:, None], (height, width))
    directions = np.stack([flat * np.sin(turn), flat * np.cos(turn), up], axis=-1).reshape(-1, 3)
    pixels = evaluate(coefficients[:NUM_LOBES], directions).reshape(height, width, 3).astype(np.float32)
    upright = mi.ScalarTransform4f().rotate([1, 0, 0], 90)
    return {"type": "envmap", "bitmap": mi.Bitmap(np.ascontiguousarray(pixels)), "to_world": upright}


def suns(model: Model, irradiances: NDArray[np.floating]) -> dict[str, Any]:
    """Suns of given irradiance (NUM_SUNS, 3) as distant discs; those without light are left out."""
    import mitsuba as mi

    found: dict[str, Any] = {}
    far = _SUN_RADII * model.radius_m
    for number in np.flatnonzero(np.asarray(irradiances).sum(axis=1)):
        toward = sun_directions()[number]
        frame = mi.ScalarTransform4f().look_at((toward * far).tolist(), [0, 0, 0], [0.0, 1.0, 0.0])
        radiance = (np.asarray(irradiances[number], np.float64) / SUN_SOLID_ANGLE_SR).tolist()
        found[f"sun{number}"] = {
            "type": "disk",
            "to_world": frame @ mi.ScalarTransform4f().scale(far * float(np.tan(np.radians(SUN_HALF_ANGLE_DEG)))),
            "emitter": {"type": "area", "radiance": {"type": "rgb", "value": radiance}},
        }
    return found


def floor(model: Model) -> dict[str, Any]:
    """A white, matt floor at z = 0, wide enough for every shadow that a view shows."""
    import mitsuba as mi

    wide = mi.ScalarTransform4f().scale(_FAR_RADII / 2 * model.radius_m)
    return {"type": "rectangle", "to_world": wide, "bsdf": {"type": "diffuse", "reflectance": _grey(1.0)}}


def _mesh(surface: Surface, bsdf: dict[str, Any] | None) -> Any:
    import mitsuba as mi

    textured = surface.uvs is not None
    coloured = surface.colours is not None and not textured
    settings = mi.Properties()
    settings["bsdf"] = mi.load_dict(bsdf or _bsdf(surface.material, textured=textured, coloured=coloured))
    mesh = mi.Mesh("surface", len(surface.vertices), len(surface.faces), settings, True, textured)
    if coloured:
        mesh.add_attribute("vertex_color", 3, np.asarray(surface.colours, np.float32).ravel().tolist())
    buffers = mi.traverse(mesh)
    buffers["vertex_positions"] = np.ascontiguousarray(surface.vertices, np.float32).ravel()
    buffers["vertex_normals"] = np.ascontiguousarray(surface.normals, np.float32).ravel()
    buffers["faces"] = np.ascontiguousarray(surface.faces, np.uint32).ravel()
    if surface.uvs is not None:
        # Mitsuba counts v from a picture's top row, models from its bottom row
        buffers["vertex_texcoords"] = np.asarray(surface.uvs * [1, -1] + [0, 1], np.float32).ravel()
    buffers.update()
    return mesh


def _bsdf(material: Material, *, textured: bool, coloured: bool) -> dict[str, Any]:
    base: dict[str, Any] = {"type": "rgb", "value": list(material.base_colour)}
    if textured and material.base_texture is not None:
        base = _picture(_tinted(material))
    elif coloured:
        base = {"type": "mesh_attribute", "name": "vertex_color"}
    alpha, scale = _alpha(material, textured=textured)
    layers: dict[str, Any] = {"type": "diffuse", "reflectance": base}
    if material.specular:
        gloss = {"type": "roughconductor", "material": "none", "distribution": "ggx", "alpha": alpha}
        layers = {"type": "blendbsdf", "weight": _GLOSS_SHARE, "matt": layers, "gloss": gloss}
    weight = _metallic(material, textured=textured)
    if weight is not None:
        metal = {"type": "roughconductor", "material": "none", "distribution": "ggx", "alpha": alpha}
        metal["specular_reflectance"] = base if scale == 1.0 else _brighter(material, base, scale)
        layers = metal if weight == 1.0 else {"type": "blendbsdf", "weight": weight, "other": layers, "metal": metal}
    layers = {"type": "twosided", "bsdf": layers}
    opacity = _opacity(material, textured=textured)
    return layers if opacity is None else {"type": "mask", "opacity": opacity, "bsdf": layers}


def _tinted(material: Material) -> NDArray[np.uint8]:
    assert material.base_texture is not None
    texture = material.base_texture[..., :3]
    if material.base_colour == (1.0, 1.0, 1.0):
        return np.ascontiguousarray(texture)
    table = linear_from_srgb(np.arange(256) / 255)
    scaled = srgb_from_linear(table[:, None] * np.asarray(material.base_colour)) * 255 + 0.5
    return np.stack([scaled[:, c].astype(np.uint8)[texture[..., c]] for c in range(3)], axis=-1)


def _alpha(material: Material, *, textured: bool) -> tuple[Any, float]:
    """GGX alpha, the square of glTF's roughness, and by how much a metal is brightened for what it loses."""
    if textured and material.surface_texture is not None:
        rough = (material.surface_texture[..., 0] / 255 * material.roughness).clip(_MIN_ROUGHNESS, 1)
        lowest = float(rough.min()) ** 2
        return _picture((rough**2).astype(np.float32)[..., None]), _metal_gain(lowest)
    alpha = max(material.roughness, _MIN_ROUGHNESS) ** 2
    return alpha, _metal_gain(alpha)


def _metal_gain(alpha: float) -> float:
    return float(1 / np.interp(alpha, _METAL_ALPHA, _METAL_RETURN))


def _brighter(material: Material, base: dict[str, Any], scale: float) -> dict[str, Any]:
    if base["type"] == "rgb":
        return {"type": "rgb", "value": [min(c * scale, 1.0) for c in base["value"]]}
    if base["type"] == "bitmap":
        linear = linear_from_srgb(_tinted(material) / 255) * scale
        return _picture(linear.clip(0, 1).astype(np.float32))
    return base


def _metallic(material: Material, *, textured: bool) -> Any:
    """None for no metal at all, a number, or a texture."""
    if material.metallic <= 0:
        return None
    if textured and material.surface_texture is not None:
        share = material.surface_texture[..., 1:] / 255 * material.metallic
        return _picture(share.astype(np.float32)) if share.max() > 0.01 else None
    return material.metallic


def _opacity(material: Material, *, textured: bool) -> Any:
    if textured and material.base_texture is not None and material.base_texture.shape[-1] == 4:
        return _picture((material.base_texture[..., 3:] / 255 * material.opacity).astype(np.float32))
    return None if material.opacity >= 1 else material.opacity


def _picture(pixels: NDArray[Any]) -> dict[str, Any]:
    """A texture: uint8 is sRGB, float32 is linear data."""
    import mitsuba as mi

    bitmap = mi.Bitmap(np.array(pixels))  # a copy: Mitsuba takes no read-only arrays
    return {"type": "bitmap", "bitmap": bitmap, "raw": pixels.dtype != np.uint8}


def _grey(value: float) -> dict[str, Any]:
    return {"type": "rgb", "value": value}

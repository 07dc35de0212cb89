"""Photographs a model as a shop does: soft lights, white background, path-traced by Mitsuba 3.

Only the scalar variant is used: others abort the process with some LLVM versions. The box filter keeps each
pixel within one block of work, so that pixels do not depend on the number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from components.synthesis.builtin.parts import Finish, Part

_FIELD_OF_VIEW_DEG = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A camera on a sphere around the model: azimuth from the front, elevation above the horizon."""

    azimuth_deg: float
    elevation_deg: float
    distance: float


def photograph(
    parts: list[Part], view: View, *, size_px: int, num_paths: int, seed: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Render RGB (size, size, 3) on white and the mask (size, size), which is coverage in 0..255."""
    import mitsuba as mi

    mi.set_variant("scalar_rgb")
    scene = mi.load_dict(_scene(parts, view, size_px, num_paths))
    linear = np.asarray(mi.render(scene, seed=mi.UInt32(seed)), np.float32)
    alpha = linear[..., 3:].clip(0, 1)
    encoded = np.where(linear[..., :3] < 0.0031308, linear[..., :3] * 12.92,
                       1.055 * np.maximum(linear[..., :3], 1e-6) ** (1 / 2.4) - 0.055)  # fmt: skip
    # colours come premultiplied; encoding before blending keeps edges free of dark fringes on white
    colour = np.where(alpha > 0, encoded.clip(0, 1), 0.0)
    rgb = colour * alpha + (1 - alpha)
    return (rgb * 255 + 0.5).astype(np.uint8), (alpha[..., 0] * 255 + 0.5).astype(np.uint8)


def _scene(parts: list[Part], view: View, size_px: int, num_paths: int) -> dict[str, Any]:
    import mitsuba as mi

    azimuth, elevation = np.radians(view.azimuth_deg), np.radians(view.elevation_deg)
    toward = [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    place = mi.ScalarTransform4f().look_at([float(view.distance * t) for t in toward], [0, 0, 0], [0, 0, 1])
    film = {"type": "hdrfilm", "width": size_px, "height": size_px, "pixel_format": "rgba", "rfilter": {"type": "box"}}
    scene: dict[str, Any] = {
        "type": "scene",
        "integrator": {"type": "path", "max_depth": 4, "hide_emitters": True},
        "sensor": {
            "type": "perspective",
            "fov": _FIELD_OF_VIEW_DEG,
            "to_world": place,
            "film": film,
            "sampler": {"type": "multijitter", "sample_count": num_paths},
        },
        "sky": {"type": "constant", "radiance": {"type": "rgb", "value": 0.55}},
        "key": _lamp((-3.0, -4.0, 5.0), 1.6, 11.0),
        "fill": _lamp((4.0, -3.0, 2.5), 1.4, 3.5),
    }
    scene.update({f"part{index}": _mesh(parts, finish) for index, finish in enumerate(_finishes(parts))})
    return scene


def _lamp(place: tuple[float, float, float], half_size: float, radiance: float) -> dict[str, Any]:
    import mitsuba as mi

    frame = mi.ScalarTransform4f().look_at(list(place), [0, 0, 0], [0, 0, 1])
    emitter = {"type": "area", "radiance": {"type": "rgb", "value": radiance}}
    return {"type": "rectangle", "to_world": frame @ mi.ScalarTransform4f().scale(half_size), "emitter": emitter}


def _finishes(parts: list[Part]) -> list[Finish]:
    return list(dict.fromkeys(part.finish for part in parts))


def _mesh(parts: list[Part], finish: Finish) -> Any:
    """All parts of one finish as one Mitsuba mesh."""
    import mitsuba as mi

    same = [part for part in parts if part.finish == finish]
    offsets = np.cumsum([0, *[len(part.vertices) for part in same[:-1]]])
    faces = np.concatenate([part.faces + offset for part, offset in zip(same, offsets, strict=True)])
    linear = [c / 12.92 if c < 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in finish.colour]
    surface = {
        "type": "principled",
        "base_color": {"type": "rgb", "value": linear},
        "roughness": finish.roughness,
        "specular": 0.4,
    }
    settings = mi.Properties()
    settings["bsdf"] = mi.load_dict({"type": "twosided", "bsdf": surface})
    mesh = mi.Mesh("part", sum(len(part.vertices) for part in same), len(faces), settings, True)
    buffers = mi.traverse(mesh)
    buffers["vertex_positions"] = np.concatenate([part.vertices for part in same]).ravel()
    buffers["vertex_normals"] = np.concatenate([part.normals for part in same]).ravel()
    buffers["faces"] = faces.astype(np.uint32).ravel()
    buffers.update()
    return mesh

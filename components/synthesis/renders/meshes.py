"""Loads 3D models (glTF, OBJ, PLY, COLLADA) with their PBR materials, in metres, or says why it cannot.

trimesh parses the file; what may hurt is checked before that in `mesh_files.py`. What is odd but harmless (a
missing texture, surfaces turned inside out, an unexpected up axis) is repaired and named in `Model.warnings`.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from components.core.errors import DataError, SourceError, UnavailableError
from components.synthesis.renders.mesh_files import KINDS, SideFiles, check_file, check_num_faces
from components.synthesis.renders.models import Model, Surface, stand
from components.synthesis.renders.textures import material_of, vertex_colours

Axis = Literal["auto", "x", "y", "z"]

_FOLD_RAD = np.radians(41.0)  # surfaces that turn by more show an edge
_MAX_STRETCH = 1e3
_SLACK = 0.1  # of a model's extent along an axis: how near to zero its lowest point, or its middle, counts as there
_AGAINST_GLTF = (
    "the model stands on z = 0 with its middle on y = 0, so z is taken for up, although glTF says y; export it with y "
    "up if it lies on its side"
)
_UP: dict[str, list[list[int]]] = {  # rows: the file's axes that become x right, y away, z up
    "x": [[0, 1, 0], [0, 0, 1], [1, 0, 0]],
    "y": [[1, 0, 0], [0, 0, -1], [0, 1, 0]],
    "z": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}


def load_model_file(path: Path, *, up: Axis = "auto", longest_m: float | None = None) -> Model:
    """Load a model and the files beside it that it names; SourceError when it cannot be read, DataError as below."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"the model {path} cannot be read ({error.strerror}); check the path") from error
    kind = path.suffix.lower().removeprefix(".")
    return load_model(data, kind, name=path.name, folder=path.parent, up=up, longest_m=longest_m)


def load_model(
    data: bytes, kind: str, *, name: str, folder: Path | None = None, up: Axis = "auto", longest_m: float | None = None
) -> Model:
    """Load a model from the bytes of its file; `kind` is one of KINDS, `folder` holds the files that it names.

    `up` is the file's axis that points up; `auto` takes y for glTF, as its standard says, unless the model stands on
    z = 0 with its middle on y = 0, which exporters without a turn of axes leave; z for the others, unless the model
    stands on y = 0 alone. `longest_m` scales its longest side where the file's unit is no metre. DataError
    names what is wrong: no faces, NaN, too many faces, a texture bomb, a path that leaves the folder, a broken
    scale, an unknown kind. UnavailableError: COLLADA needs the package pycollada.
    """
    if up not in ("auto", *_UP):
        raise DataError(f"up is {up!r} for {name}, allowed are auto, x, y and z")
    files = SideFiles(folder, name=name)
    tree = check_file(data, kind, name=name, files=files)
    scene = _parsed(data, kind, name, files)
    warnings: list[str] = []
    surfaces = _surfaces(scene, name, warnings)
    turned = _turned(surfaces, _up_axis(surfaces, kind, up, warnings))
    warnings += [f"the file {missing} is missing; what it would have given is left out" for missing in files.missing]
    if not files.missing and _lost_textures(tree, surfaces):
        warnings.append("a texture is missing or cannot be decoded; its colour factor stands in")
    return stand(turned, name=name, longest_m=longest_m, warnings=list(dict.fromkeys(warnings)))


def _parsed(data: bytes, kind: str, name: str, files: SideFiles) -> Any:
    import trimesh

    logging.getLogger("trimesh").setLevel(logging.CRITICAL)
    try:
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, resolver=files, allow_remote=False, process=False)
    except ImportError as error:
        raise UnavailableError(f"{name}: models of kind {kind} need pycollada; run pip install pycollada") from error
    except Exception as error:  # a parser may raise anything on bytes that are no model
        if files.refused:
            raise files.refused[0] from error
        missing = f"; the file {files.missing[0]!r} that it names is missing" if files.missing else ""
        reason = f"{type(error).__name__}: {error}"
        raise DataError(f"{name} cannot be read as {kind} ({reason}){missing}; export it again") from error
    if files.refused:
        raise files.refused[0]
    return scene


def _surfaces(scene: Any, name: str, warnings: list[str]) -> list[Surface]:
    import trimesh

    found: list[Surface] = []
    for node in scene.graph.nodes_geometry:
        matrix, key = scene.graph[node]
        mesh = scene.geometry[key]
        if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
            continue
        check_num_faces(sum(len(s.faces) for s in found) + len(mesh.faces), name)
        _check_matrix(np.asarray(matrix, np.float64), name)
        found.append(_surface(mesh, np.asarray(matrix, np.float64), name, warnings))
    if not found:
        raise DataError(f"{name} has no faces (points or lines only); export the mesh with its triangles")
    return found


def _check_matrix(matrix: NDArray[np.float64], name: str) -> None:
    if not np.isfinite(matrix).all():
        raise DataError(f"{name} places a part with NaN or infinite numbers; export it again")
    stretch = np.linalg.svd(matrix[:3, :3], compute_uv=False)
    if stretch[0] > _MAX_STRETCH * stretch[-1] and stretch[0] > 0:
        raise DataError(
            f"{name} scales a part {stretch[0]:.3g} times along one axis and {stretch[-1]:.3g} along another, "
            f"allowed is a ratio of {_MAX_STRETCH:.0f}; apply or correct its scale and export it again"
        )


def _surface(mesh: Any, matrix: NDArray[np.float64], name: str, warnings: list[str]) -> Surface:
    vertices = np.asarray(mesh.vertices, np.float64)
    faces = np.asarray(mesh.faces, np.int64)
    if not np.isfinite(vertices).all():
        bad = int((~np.isfinite(vertices).all(axis=1)).sum())
        raise DataError(f"{name} has {bad} NaN or infinite vertices; repair the mesh, or leave it out")
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise DataError(f"{name} has faces of vertices that do not exist; repair the mesh, or leave it out")
    placed = vertices @ matrix[:3, :3].T + matrix[:3, 3]
    if np.linalg.det(matrix[:3, :3]) < 0:
        faces = faces[:, ::-1]
    faces = _outward(placed, faces, warnings)
    uvs = getattr(mesh.visual, "uv", None)
    colours = vertex_colours(mesh)
    given = mesh._cache.cache.get("vertex_normals")  # computed ones, by trimesh, would round every edge
    if given is None or len(given) != len(placed):
        corners, normals = faces.reshape(-1), _folded_normals(placed, faces)
        uvs, colours = (None if values is None else np.asarray(values)[corners] for values in (uvs, colours))
        placed, faces = placed[corners], np.arange(len(corners)).reshape(-1, 3)
    else:
        normals = _unit(np.asarray(given, np.float64) @ np.linalg.inv(matrix[:3, :3]))
        normals = _along_faces(placed, faces, normals, warnings)
    return Surface(
        vertices=np.asarray(placed, np.float32),
        normals=np.asarray(normals, np.float32),
        faces=np.asarray(faces, np.int32),
        material=material_of(mesh, warnings),
        uvs=None if uvs is None or len(uvs) != len(placed) else np.nan_to_num(np.asarray(uvs, np.float32)),
        colours=None if colours is None else np.asarray(colours, np.float32),
    )


def _outward(vertices: NDArray[np.float64], faces: NDArray[np.int64], warnings: list[str]) -> NDArray[np.int64]:
    """Faces of a closed mesh, turned where they look inward."""
    _, merged = np.unique(vertices, axis=0, return_inverse=True)
    edges = np.sort(merged.reshape(-1)[faces][:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    closed = bool((np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).all())
    a, b, c = (vertices[faces[:, i]] - vertices.mean(axis=0) for i in range(3))
    if closed and float(np.einsum("fc,fc->", a, np.cross(b, c))) < 0:
        warnings.append("a closed surface was inside out; its faces are turned")
        return faces[:, ::-1]
    return faces


def _along_faces(
    vertices: NDArray[np.float64], faces: NDArray[np.int64], normals: NDArray[np.float64], warnings: list[str]
) -> NDArray[np.float64]:
    """Vertex normals, turned as a whole where most look away from their faces, repaired where they are no vectors."""
    across = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    broken = ~(np.abs(np.linalg.norm(normals, axis=1) - 1) < 1e-3)
    if broken.any():
        summed = np.zeros_like(vertices)
        np.add.at(summed, faces.reshape(-1), np.repeat(across, 3, axis=0))
        normals = np.where(broken[:, None], _unit(summed), normals)
        warnings.append("some normals were no unit vectors; they are computed from the faces")
    if float(np.einsum("fc,fc->", across, normals[faces].sum(axis=1))) < 0:
        warnings.append("normals looked inward; they are turned")
        return -normals
    return normals


def _folded_normals(vertices: NDArray[np.float64], faces: NDArray[np.int64]) -> NDArray[np.float64]:
    """Normals (F * 3, 3) of the corners: smooth where neighbouring faces bend gently, crisp where they fold."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    across = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]], vertices[faces[:, 2]] - vertices[faces[:, 0]])
    facing = _unit(across)
    _, merged = np.unique(vertices, axis=0, return_inverse=True)
    same = merged.reshape(-1)[faces]
    pairs, edges = _neighbours(same)
    gentle = np.einsum("ec,ec->e", facing[pairs[:, 0]], facing[pairs[:, 1]]) > np.cos(_FOLD_RAD)
    pairs, edges = pairs[gentle], edges[gentle]
    links = [
        np.concatenate([pairs[:, side] * 3 + np.argmax(same[pairs[:, side]] == edges[:, [end]], axis=1)
                        for end in (0, 1)])
        for side in (0, 1)
    ]  # fmt: skip
    graph = coo_matrix((np.ones(len(links[0])), (links[0], links[1])), shape=(faces.size, faces.size))
    num, group = connected_components(graph, directed=False)
    summed = np.stack([np.bincount(group, np.repeat(across[:, c], 3), minlength=num) for c in range(3)], axis=1)
    return _unit(np.asarray(summed, np.float64))[group]


def _neighbours(faces: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs (E, 2) of faces that follow each other around an edge, and the two vertices (E, 2) of that edge."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    shared = (edges[order[1:]] == edges[order[:-1]]).all(axis=1)
    pairs = np.stack([order[:-1][shared], order[1:][shared]], axis=1) // 3
    return pairs, edges[order[:-1][shared]]


def _up_axis(surfaces: Sequence[Surface], kind: str, up: Axis, warnings: list[str]) -> str:
    if up != "auto":
        return up
    low = np.min([s.vertices.min(axis=0) for s in surfaces], axis=0)
    high = np.max([s.vertices.max(axis=0) for s in surfaces], axis=0)
    if kind in ("glb", "gltf"):
        if not (_stands(low, high, "z") and _is_centred(low, high, "y")):
            return "y"
        warnings.append(_AGAINST_GLTF)
        return "z"
    if _stands(low, high, "y") and not _stands(low, high, "z"):
        warnings.append("the model stands on y = 0, so y is taken for up; export it with z up if it lies on its side")
        return "y"
    return "z"


def _stands(low: NDArray[np.floating], high: NDArray[np.floating], axis: str) -> bool:
    """Whether the model begins at this axis' zero; a model that is centred on an axis does not stand on it."""
    at = "xyz".index(axis)
    return bool(abs(low[at]) <= _SLACK * (high[at] - low[at]))


def _is_centred(low: NDArray[np.floating], high: NDArray[np.floating], axis: str) -> bool:
    at = "xyz".index(axis)
    return bool(abs(low[at] + high[at]) / 2 <= _SLACK * (high[at] - low[at]))


def _turned(surfaces: Sequence[Surface], up: str) -> list[Surface]:
    from dataclasses import replace

    turn = np.asarray(_UP[up], np.float32)
    return [replace(s, vertices=s.vertices @ turn.T, normals=s.normals @ turn.T) for s in surfaces]


def _lost_textures(tree: dict[str, Any], surfaces: Sequence[Surface]) -> bool:
    wanted = any("baseColorTexture" in m.get("pbrMetallicRoughness", {}) for m in tree.get("materials", []))
    return wanted and all(surface.material.base_texture is None for surface in surfaces)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    up = np.array([0.0, 0.0, 1.0])
    return np.where(lengths > 1e-30, vectors / np.maximum(lengths, 1e-30), up)


__all__ = ["KINDS", "Axis", "load_model", "load_model_file"]

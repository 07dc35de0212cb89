"""Solids are closed, face outwards, and carry unit normals."""

import numpy as np
import pytest
import trimesh

from components.synthesis.builtin.parts import Finish, Part, block, cushion, lathe, moved, pipe, rod, wedge

PLAIN = Finish(colour=(0.5, 0.5, 0.5))
SOLIDS = {
    "block": (block((1, 2, 3), (0, 0, 0), PLAIN, turn_deg=30), 6.0),
    "wedge": (wedge((1, 2, 3), (5, 0, 0), PLAIN), 3.0),
    "ball": (cushion((2, 2, 2), (1, 1, 1), PLAIN, sharpness=2), 4 / 3 * np.pi),
    "drum": (lathe([(0, 0), (1, 0), (1, 2), (0, 2)], (0, 0, 0), PLAIN, num_sides=64), 2 * np.pi),
    "rod": (rod((0, 0, 0), (3, 4, 0), 0.5, PLAIN), 5 * np.pi / 4),
    "fallen rod": (rod((0, 0, 2), (0, 0, 0), 0.5, PLAIN), 2 * np.pi / 4),
}


def mesh_of(part: Part) -> trimesh.Trimesh:
    mesh = trimesh.Trimesh(part.vertices, part.faces, process=False)
    mesh.merge_vertices(merge_norm=True)
    mesh.update_faces(mesh.nondegenerate_faces())
    return mesh


@pytest.mark.parametrize("name", SOLIDS)
def test_solids_are_closed_and_have_their_volume(name):
    part, volume = SOLIDS[name]
    assert mesh_of(part).is_watertight
    assert mesh_of(part).volume == pytest.approx(volume, rel=0.06)


@pytest.mark.parametrize("name", SOLIDS)
def test_normals_are_unit_and_agree_with_the_faces(name):
    part, _ = SOLIDS[name]
    assert np.linalg.norm(part.normals, axis=1) == pytest.approx(1.0, abs=1e-4)
    corners = part.vertices[part.faces].astype(float)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(across, axis=1)
    solid = area > 1e-6
    facing = np.einsum("fi,fki->fk", across / np.maximum(area, 1e-12)[:, None], part.normals[part.faces])
    assert facing[solid].min() > 0.5


def test_rods_end_where_they_are_told():
    part = rod((1, 0, 0), (1, 2, 0), 0.1, PLAIN, end_radius=0.3)
    assert part.vertices[:, 1].min() == pytest.approx(0, abs=1e-5)
    assert part.vertices[:, 1].max() == pytest.approx(2, abs=1e-5)
    assert part.vertices[:, 2].max() == pytest.approx(0.3, abs=0.02)


def test_pipes_have_a_piece_for_each_step():
    assert len(pipe([(0, 0, 0), (1, 0, 0), (1, 1, 0)], 0.1, PLAIN)) == 3


def test_moving_turns_about_the_vertical_axis():
    part = moved(block((2, 0.1, 0.1), (0, 0, 0), PLAIN), (0, 0, 5), turn_deg=90)
    assert np.ptp(part.vertices[:, 1]) == pytest.approx(2, abs=1e-5)
    assert part.vertices[:, 2].mean() == pytest.approx(5, abs=1e-5)

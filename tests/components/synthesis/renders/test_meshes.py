import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from components.core.errors import DataError, SourceError, UnavailableError
from components.synthesis.renders import mesh_files
from components.synthesis.renders.meshes import load_model, load_model_file

FURNITURE = Path(__file__).resolve().parents[5] / "shared" / "data" / "furniture"


def box_scene(extents: tuple[float, float, float] = (0.4, 0.2, 0.6), lift: float = 0.3) -> Any:
    """A box that stands on y = 0, as glTF means it, when its height is the second extent."""
    import trimesh

    box = trimesh.creation.box(extents=extents)
    box.apply_translation([0, lift, 0])
    return box


def textured(scene_box: Any, **material: Any) -> bytes:
    import trimesh

    uv = np.random.default_rng(0).random((len(scene_box.vertices), 2))
    look = trimesh.visual.material.PBRMaterial(**material)
    scene_box.visual = trimesh.visual.TextureVisuals(uv=uv, material=look)
    return bytes(scene_box.export(file_type="glb"))


def picture(size: tuple[int, int] = (8, 4), colour: tuple[int, int, int] = (255, 0, 0)) -> Image.Image:
    return Image.new("RGB", size, colour)


def obj_text(extra: str = "") -> str:
    import trimesh

    return extra + str(trimesh.creation.box(extents=(1, 1, 1)).export(file_type="obj", include_normals=False))


def edited(glb: bytes, change: Any) -> bytes:
    """The same GLB with its JSON changed."""
    length = struct.unpack_from("<I", glb, 12)[0]
    tree = json.loads(glb[20 : 20 + length])
    change(tree)
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    rest = glb[20 + length :]
    head = b"glTF" + struct.pack("<II", 2, 20 + len(text) + len(rest)) + struct.pack("<I", len(text)) + b"JSON"
    return head + text + rest


def test_gltf_keeps_metres_material_and_texture_and_comes_up_z() -> None:
    data = textured(
        box_scene((0.4, 0.6, 0.2)),
        baseColorFactor=[255, 128, 255, 255],
        baseColorTexture=picture(),
        roughnessFactor=0.3,
        metallicFactor=0.25,
    )
    model = load_model(data, "glb", name="box.glb")
    assert model.size_m == pytest.approx((0.4, 0.2, 0.6), rel=1e-5)
    assert model.surfaces[0].vertices[:, 2].min() == pytest.approx(0, abs=1e-7)
    look = model.surfaces[0].material
    assert look.roughness == pytest.approx(0.3) and look.metallic == pytest.approx(0.25)
    assert look.base_colour == pytest.approx((1, 128 / 255, 1))
    assert look.base_texture is not None and look.base_texture.shape == (4, 8, 3)
    assert model.surfaces[0].uvs is not None
    assert model.warnings == ()


def test_roughness_texture_and_cut_out_opacity_are_kept() -> None:
    surface = Image.fromarray(np.full((4, 4, 3), (0, 100, 200), np.uint8))
    leaf = Image.fromarray(np.tile(np.array([[[10, 200, 10, 0], [10, 200, 10, 255]]], np.uint8), (4, 2, 1)))
    look = {"baseColorTexture": leaf, "metallicRoughnessTexture": surface, "alphaMode": "MASK"}
    material = load_model(textured(box_scene(), **look), "glb", name="leaf.glb", up="y").surfaces[0].material
    assert material.surface_texture is not None and material.base_texture is not None
    assert material.surface_texture[0, 0].tolist() == [100, 200]
    assert set(np.unique(material.base_texture[..., 3])) == {0, 255}


def test_a_gltf_that_stands_on_z_is_taken_for_z_up_and_that_is_said() -> None:
    box = box_scene((0.4, 0.2, 0.6), lift=0.0)
    box.apply_translation([0, 0, 0.3])
    data = bytes(box.export(file_type="glb"))
    model = load_model(data, "glb", name="upright.glb")
    assert model.size_m == pytest.approx((0.4, 0.2, 0.6), rel=1e-5) and "taken for up" in model.warnings[0]
    forced = load_model(data, "glb", name="upright.glb", up="y")
    assert forced.size_m == pytest.approx((0.4, 0.6, 0.2), rel=1e-5) and not forced.warnings


@pytest.mark.parametrize("middle", [(0, 0.6, 0.3), (0, 0.1, 0.3), (0, 0, 0.0), (0, -0.5, 0.3)])
def test_a_gltf_is_taken_at_its_word_without_a_doubt(middle: tuple[float, float, float]) -> None:
    """Standing on z = 0 alone proves nothing: a shelf that hangs on a wall does so too, at some height."""
    box = box_scene((0.4, 0.2, 0.6), lift=0.0)
    box.apply_translation(middle)
    model = load_model(bytes(box.export(file_type="glb")), "glb", name="box.glb")
    assert model.size_m == pytest.approx((0.4, 0.6, 0.2), rel=1e-5) and model.warnings == ()


def test_formats_without_a_rule_go_by_where_they_stand() -> None:
    box = box_scene((0.4, 0.2, 0.6), lift=0.1)
    lying = load_model(str(box.export(file_type="obj", include_normals=False)).encode(), "obj", name="box.obj")
    assert lying.size_m == pytest.approx((0.4, 0.6, 0.2), rel=1e-5) and "stands on y = 0" in lying.warnings[0]
    box.apply_translation([0, 0, 0.3])
    both = load_model(str(box.export(file_type="obj", include_normals=False)).encode(), "obj", name="box.obj")
    assert both.size_m == pytest.approx((0.4, 0.2, 0.6), rel=1e-5) and both.warnings == ()


def test_vertex_colours_become_linear() -> None:
    import trimesh

    box = trimesh.creation.box()
    box.visual.vertex_colors = np.tile([188, 0, 255, 255], (8, 1))
    model = load_model(bytes(box.export(file_type="ply")), "ply", name="box.ply")
    colours = model.surfaces[0].colours
    assert colours is not None
    assert colours[0] == pytest.approx([0.503, 0, 1], abs=0.01)


def test_edges_without_normals_stay_crisp_and_bends_smooth() -> None:
    import trimesh

    crisp = load_model(obj_text().encode(), "obj", name="box.obj").surfaces[0]
    assert np.abs(crisp.normals).max(axis=1).min() > 0.999
    ball = trimesh.creation.icosphere(subdivisions=3)
    smooth = load_model(bytes(ball.export(file_type="ply", vertex_normal=False)), "ply", name="ball.ply").surfaces[0]
    centre = smooth.vertices - np.array([0, 0, 1])
    assert (np.einsum("vc,vc->v", smooth.normals, centre) > 0.995).all()


def test_surfaces_inside_out_are_turned_and_named() -> None:
    import trimesh

    box = trimesh.creation.box()
    flipped = trimesh.Trimesh(box.vertices, box.faces[:, ::-1], process=False)
    model = load_model(bytes(flipped.export(file_type="ply")), "ply", name="inside.ply")
    assert any("inside out" in warning for warning in model.warnings)
    outward = model.surfaces[0].vertices - np.array([0, 0, 0.5])
    assert (np.einsum("vc,vc->v", model.surfaces[0].normals, outward) > 0).all()


def test_side_files_are_found_beside_the_model_and_missing_ones_named(tmp_path: Path) -> None:
    text = "mtllib box.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 1 0 1\nvt 0 0\nvt 1 0\nvt 1 1\nf 1/1 2/2 3/3\n"
    (tmp_path / "box.obj").write_text(text)
    (tmp_path / "box.mtl").write_text("newmtl red\nKd 1 0.5 0\nNs 200\nmap_Kd skin.png\n")
    missing = load_model_file(tmp_path / "box.obj")
    assert any("skin.png is missing" in warning for warning in missing.warnings)
    assert missing.surfaces[0].material.base_colour == pytest.approx((1, 0.5, 0), abs=0.01)
    picture().save(tmp_path / "skin.png")
    whole = load_model_file(tmp_path / "box.obj")
    assert whole.surfaces[0].material.base_texture is not None and not whole.warnings
    assert whole.surfaces[0].material.roughness < 0.4


@pytest.mark.parametrize("name", ["../skin.png", "/etc/passwd", "https://example.com/skin.png", "..\\skin.png"])
def test_no_model_reads_outside_its_folder(tmp_path: Path, name: str) -> None:
    picture().save(tmp_path / "skin.png")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "box.obj").write_text("mtllib box.mtl\nusemtl red\n" + "v 0 0 0\nv 1 0 0\nv 1 0 1\nf 1 2 3\n")
    (folder / "box.mtl").write_text(f"newmtl red\nKd 1 0 0\nmap_Kd {name}\n")
    with pytest.raises(DataError, match=r"beside the model|leaves its folder"):
        load_model_file(folder / "box.obj")


def test_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.mtl").write_text("newmtl red\n")
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "box.mtl").symlink_to(tmp_path / "secret.mtl")
    (folder / "box.obj").write_text("mtllib box.mtl\nv 0 0 0\nv 1 0 0\nv 1 0 1\nf 1 2 3\n")
    with pytest.raises(DataError, match="leaves its folder"):
        load_model_file(folder / "box.obj")


def bomb(side_px: int) -> bytes:
    """A valid PNG header for an enormous picture, with hardly any data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side_px", [9000, 12_000, 60_000])
def test_a_texture_bomb_is_refused_by_its_header(side_px: int) -> None:
    uri = "data:image/png;base64," + base64.b64encode(bomb(side_px)).decode()
    data = textured(box_scene(), baseColorTexture=picture())
    with pytest.raises(DataError, match="texture"):
        load_model(edited(data, lambda tree: tree.update(images=[{"uri": uri}])), "glb", name="bomb.glb")


def test_a_texture_that_cannot_be_decoded_gives_way_to_its_colour() -> None:
    uri = "data:image/png;base64," + base64.b64encode(b"no picture").decode()
    data = textured(box_scene(), baseColorTexture=picture(), baseColorFactor=[255, 0, 0, 255])
    model = load_model(edited(data, lambda tree: tree.update(images=[{"uri": uri}])), "glb", name="lost.glb", up="y")
    assert model.surfaces[0].material.base_texture is None
    assert model.surfaces[0].material.base_colour == pytest.approx((1, 0, 0))
    assert any("texture" in warning for warning in model.warnings)


def stretched(tree: dict[str, Any]) -> None:
    for node in tree["nodes"]:
        if "mesh" in node:
            node["matrix"] = [1e6, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


def test_a_scale_of_a_million_along_one_axis_is_refused() -> None:
    with pytest.raises(DataError, match="along one axis"):
        load_model(edited(bytes(box_scene().export(file_type="glb")), stretched), "glb", name="long.glb")
    needle = obj_text().replace("0.50000000 ", "500000.0 ", 1)
    with pytest.raises(DataError, match=r"longest_m|unequally"):
        load_model(needle.encode(), "obj", name="needle.obj")


@pytest.mark.parametrize(("scale", "longest_m"), [(1000, None), (1e-5, None), (1000, 1000.0), (1, 0.0)])
def test_sizes_that_no_object_has_are_refused(scale: float, longest_m: float | None) -> None:
    import trimesh

    box = trimesh.creation.box(extents=np.ones(3) * scale)
    with pytest.raises(DataError, match="longest_m"):
        load_model(bytes(box.export(file_type="ply")), "ply", name="huge.ply", longest_m=longest_m)
    rescued = load_model(bytes(box.export(file_type="ply")), "ply", name="huge.ply", longest_m=0.3)
    assert rescued.size_m == pytest.approx((0.3,) * 3, rel=1e-4)


@pytest.mark.parametrize("bad", ["nan", "inf"])
def test_nan_vertices_are_refused(bad: str) -> None:
    text = f"v 0 0 0\nv 1 0 0\nv {bad} 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n"
    with pytest.raises(DataError, match="NaN"):
        load_model(text.encode(), "obj", name="nan.obj")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"v 0 0 0\nv 1 0 0\n", "obj"),
        (b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
         b"end_header\n0 0 0\n", "ply"),
        (b'{"asset": {"version": "2.0"}}', "gltf"),
    ],
)  # fmt: skip
def test_no_faces_are_named(data: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=r"faces|cannot be read"):
        load_model(data, kind, name=f"empty.{kind}")


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "glb"),
        (b"glTF", "glb"),
        (b"PK\x03\x04" + bytes(64), "glb"),
        (b"[]", "gltf"),
        (b"{not json", "gltf"),
        (b'{"meshes": [{"primitives": [{"attributes": {"POSITION": 7}}]}]}', "gltf"),
        (b'{"images": [{"uri": "file:///etc/passwd"}]}', "gltf"),
        (b"\x80\x04]\x94.", "pkl"),
        (b"solid", "stl"),
        (b"ply\nnonsense", "ply"),
    ],
)
def test_what_is_no_model_is_refused_by_name(data: bytes, kind: str) -> None:
    with pytest.raises(DataError, match=f"bad.{kind}"):
        load_model(data, kind, name=f"bad.{kind}")


def test_collada_is_read_but_not_its_entities() -> None:
    box = box_scene()
    box.visual.vertex_colors = [255, 0, 0, 255]
    model = load_model(bytes(box.export(file_type="dae")), "dae", name="box.dae")
    assert model.size_m == pytest.approx((0.4, 0.2, 0.6), rel=1e-5)
    assert model.surfaces[0].material.base_colour == pytest.approx((1, 0, 0), abs=0.01)
    with pytest.raises(DataError, match="entities"):
        load_model(b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><COLLADA/>', "dae", name="x.dae")
    with pytest.raises(DataError, match="cannot be read as dae"):
        load_model(b'<?xml version="1.0"?><COLLADA/>', "dae", name="x.dae")


def test_collada_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import trimesh

    def missing(*args: Any, **kwargs: Any) -> Any:
        raise ImportError("collada")

    monkeypatch.setattr(trimesh, "load_scene", missing)
    with pytest.raises(UnavailableError, match="pip install pycollada"):
        load_model(b'<?xml version="1.0"?><COLLADA/>', "dae", name="x.dae")


def test_too_many_faces_are_refused_before_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mesh_files, "MAX_FACES", 11)
    for kind in ("glb", "ply", "obj"):
        data = box_scene().export(file_type=kind)
        data = data.encode() if isinstance(data, str) else bytes(data)
        with pytest.raises(DataError, match="12 faces, allowed are 11"):
            load_model(data, kind, name=f"big.{kind}")


def test_a_file_that_is_not_there_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.glb"):
        load_model_file(tmp_path / "none.glb")


@pytest.mark.data
def test_real_furniture_stands_upright_in_metres() -> None:
    if not FURNITURE.is_dir():
        pytest.skip(f"the shared furniture models are not at {FURNITURE}")
    fridge = load_model_file(FURNITURE / "Refrigerator_01.glb")
    assert 1.5 < fridge.size_m[2] < 2.2
    assert all(surface.material.base_texture is not None for surface in fridge.surfaces)
    assert fridge.digest == load_model_file(FURNITURE / "Refrigerator_01.glb").digest
    vase = load_model_file(FURNITURE / "Vase_01.glb")
    assert vase.warnings == fridge.warnings and len(vase.warnings) == 1, "one reason, so that it is told once"


def test_digests_follow_the_content() -> None:
    red, blue = (textured(box_scene(), baseColorTexture=picture(colour=c)) for c in ((255, 0, 0), (0, 0, 255)))
    digests = {load_model(data, "glb", name="a.glb", up="y").digest for data in (red, blue, red)}
    assert len(digests) == 2
    assert len(io.BytesIO(red).getvalue()) == len(red)

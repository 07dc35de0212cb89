"""3D models come in whole, with what they refer to and nothing else; every way out of their folder is closed."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from components.core import manifest
from components.core.digests import digest_tree, sample_id
from components.core.errors import DataError
from components.datasets import sources
from components.datasets.meshes import find_references, model_labels, pack, read_models, unpack
from components.datasets.sources import check_classes, ingest
from components.workloads.products.workload import CATALOG, PHOTOS


def png(grey: int = 90) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 12), (grey,) * 3).save(buffer, "PNG")
    return buffer.getvalue()


OBJ = b"# chair\nmtllib looks/chair.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"
MTL = b"newmtl wood\nKd 1 1 1\nmap_Kd -s 1 1 1 grain.png\nbump my bump.png\nmap_Ks gone.png\n"
FILES = {
    "chair/chair.obj": OBJ,
    "chair/looks/chair.mtl": MTL,
    "chair/looks/grain.png": png(1),
    "chair/looks/my bump.png": png(2),
    "chair/photo.png": png(3),
    "chair/scene.fbx": b"...",
    "lamp/lamp.glb": b"glTF...",
    "LICENSE": b"\n# CC-BY 4.0\n\nlong text",
    "lamp/licence.txt": b"CC0",
}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def test_a_catalogue_keeps_models_beside_its_pictures(tmp_path: Path) -> None:
    catalog = write(tmp_path / "in", FILES)
    out = tmp_path / "out"
    summary = ingest(str(catalog), out=out, source=CATALOG, fingerprint_file=tmp_path / "mark")
    assert (summary.num_images, summary.num_models, summary.classes) == (1, 2, {"chair": 2, "lamp": 1})
    assert [row["image"]["path"] for row in manifest.read(out).to_pylist()] == ["chair/photo.png"]
    chair, lamp = read_models(out)
    assert (lamp.kind, lamp.data, lamp.licence, lamp.sample_id) == ("glb", b"glTF...", "CC0", sample_id(b"glTF..."))
    assert (chair.kind, chair.licence, chair.name, chair.label) == ("zip", "CC-BY 4.0", "chair/chair.obj", "chair")
    with zipfile.ZipFile(io.BytesIO(chair.data)) as archive:
        assert archive.namelist() == ["chair.obj", "looks/chair.mtl", "grain.png", "my bump.png"]
        assert archive.read("grain.png") == png(1)
    ignored = json.loads((out / "source.json").read_text())["ignored"]
    assert "missing" in ignored["chair/looks/gone.png"] and ".glb" in ignored["chair/scene.fbx"]
    assert set(ignored) == {"chair/looks/gone.png", "chair/scene.fbx"}
    assert model_labels(out) == ["chair", "lamp"]


def test_a_changed_texture_is_a_change_and_nothing_else_is(tmp_path: Path) -> None:
    catalog, out = write(tmp_path / "in", FILES), tmp_path / "out"

    def changed() -> bool:
        return ingest(str(catalog), out=out, source=CATALOG, fingerprint_file=tmp_path / "mark").changed

    assert changed() and not changed()
    before = digest_tree(out)
    write(catalog, {"chair/looks/grain.png": png(200)})
    assert changed() and digest_tree(out) != before
    (out / "models" / "shard-00000.parquet").unlink()
    assert changed() and not changed()


def test_models_alone_make_a_catalogue_and_their_classes_count(tmp_path: Path) -> None:
    catalog = write(tmp_path / "in", {"chair/a.ply": b"ply\n", "lamp/b.glb": b"glTF"})
    ingest(str(catalog), out=tmp_path / "out", source=CATALOG)
    assert manifest.count(tmp_path / "out") == 0
    photos = write(tmp_path / "p", {"chair/1.png": png(), "lamp/2.png": png(4)})
    ingest(str(photos), out=tmp_path / "photos", source=PHOTOS)
    assert check_classes(tmp_path / "out", tmp_path / "photos") == []
    write(photos, {"lamp/b.glb": b"glTF"})
    assert ingest(str(photos), out=tmp_path / "photos", source=PHOTOS).num_models == 0, "photos are photos"


def test_a_csv_may_name_models_and_licences(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.glb": b"glTF", "b/y.png": png()})
    (tmp_path / "list.csv").write_text("path,label,license\na/x.glb,chair,CC0\nb/y.png,lamp,\n")
    ingest(str(tmp_path / "list.csv"), out=tmp_path / "out", source=CATALOG, licence="MIT")
    (model,) = read_models(tmp_path / "out")
    assert (model.label, model.licence) == ("chair", "CC0")
    assert manifest.read(tmp_path / "out", ["licence"])["licence"].to_pylist() == ["MIT"]


def test_a_model_over_the_cap_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = write(tmp_path / "in", {**FILES, "lamp/photo.png": png(7)})
    monkeypatch.setattr(sources, "MAX_MODEL_BYTES", 100)
    assert ingest(str(catalog), out=tmp_path / "out", source=CATALOG).num_models == 1
    assert "at most 100" in json.loads((tmp_path / "out/source.json").read_text())["ignored"]["chair/chair.obj"]


GLTF = {"buffers": [{"uri": "box%201.bin"}, {"uri": "data:,x"}], "images": [{"uri": "t/a.png"}, {"bufferView": 0}]}
DAE = b"<COLLADA><library_images><image><init_from>t/a.png</init_from></image></library_images></COLLADA>"


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("m/x.gltf", json.dumps(GLTF).encode(), ("box 1.bin", "t/a.png")),
        ("m/x.dae", DAE, ("t/a.png",)),
        ("m/x.ply", b"ply\nformat ascii 1.0\ncomment TextureFile t/a.png\nend_header\n", ("t/a.png",)),
        ("m/x.obj", b"mtllib  none.mtl \r\n", ()),
        ("m/x.gltf", b"[[[[", ()),
        ("m/x.gltf", b'{"buffers": [3], "images": 7}', ()),
        ("m/x.glb", b"glTF", ()),
    ],
)
def test_references_are_read_from_each_format(name: str, data: bytes, found: tuple[str, ...]) -> None:
    files = {name: data, "m/box 1.bin": b"1", "m/t/a.png": b"2", "m/t/unused.png": b"3"}
    named = find_references(name, files, files.__getitem__)
    assert tuple(named.found) == found and list(named.found.values()) == [f"m/{side}" for side in found]


@pytest.mark.parametrize("name", ["../up.png", "/etc/passwd", "C:/x.png", "https://x/y.png", "a/../../up.png", ".."])
def test_no_reference_leads_out_of_the_models_folder(name: str) -> None:
    uri = {"images": [{"uri": name}]}
    files = {"m/x.gltf": json.dumps(uri).encode(), "up.png": b"1", "/etc/passwd": b"2"}
    named = find_references("m/x.gltf", files, files.__getitem__)
    assert named.found == {} and list(named.missing) == [name]


def test_a_material_in_a_folder_may_reach_for_textures_beside_it(tmp_path: Path) -> None:
    files = {"m/x.obj": b"mtllib a/x.mtl\n", "m/a/x.mtl": b"map_Kd ../t/k.png\nmap_Ks t/k.png\n", "m/t/k.png": b"1"}
    assert find_references("m/x.obj", files, files.__getitem__).found == {
        "a/x.mtl": "m/a/x.mtl",
        "t/k.png": "m/t/k.png",
    }


def test_references_in_circles_end() -> None:
    files = {"m/x.obj": b"mtllib x.mtl\nmtllib x.obj\n", "m/x.mtl": b"map_Kd x.mtl\n"}
    assert find_references("m/x.obj", files, files.__getitem__).found == {"x.mtl": "m/x.mtl"}


@given(st.dictionaries(st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3})?\.png", fullmatch=True), st.binary(max_size=9)))
def test_what_was_packed_comes_out_again(tmp_path_factory: pytest.TempPathFactory, sides: dict[str, bytes]) -> None:
    folder = tmp_path_factory.mktemp("unpacked")
    packed = pack("x.obj", b"model", list(sides.items()))
    assert packed == pack("x.obj", b"model", list(sides.items()))
    main = unpack(packed, folder, name="x")
    assert main.read_bytes() == b"model" and main.name == "x.obj"
    assert {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.png")} == sides


@pytest.mark.parametrize("fault", ["slip", "bomb", "text", "empty"])
def test_a_package_that_was_not_made_here_is_refused(tmp_path: Path, fault: str) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if fault == "bomb" else zipfile.ZIP_STORED) as archive:
        if fault != "empty":
            archive.writestr("../out.obj" if fault == "slip" else "x.obj", b"0" * 1000)
    data = b"no zip" if fault == "text" else buffer.getvalue()
    with pytest.raises(DataError, match=r"chair\.obj"):
        unpack(data, tmp_path / "in", name="chair.obj")
    assert not (tmp_path / "out.obj").exists()

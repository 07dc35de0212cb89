"""Every broken asset, through the real command: named, left out or refused, and the rest of the run unharmed."""

import io
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from components.core import manifest
from components.core.settings import Settings
from components.core.stages import read_report
from components.core.workspace import Workspace
from flows import __main__ as command_line
from tests.flows.drawn import make_workspace, write_params

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
SYNTHESIS = {
    "num_per_class": 4,
    "size_px": 32,
    "render_share": 0.5,
    "renders": {"num_paths": 1, "views_per_model": 1, "lights_per_view": 4},
}


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def product(colour: tuple[int, int, int]) -> bytes:
    image = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(image).ellipse((12, 14, 50, 52), fill=colour)
    return png(image)


def noise(size: tuple[int, int], seed: int) -> bytes:
    return png(Image.fromarray(np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)))


def obj(
    faces: str = "f 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n", scale: tuple[float, ...] = (1, 1, 1), more: str = ""
) -> bytes:
    """A tetrahedron, 0.3 m tall."""
    corners = np.array([[0, 0, 0], [0.3, 0, 0], [0, 0.3, 0], [0.1, 0.1, 0.3]]) * np.array(scale)
    return (more + "".join(f"v {x} {y} {z}\n" for x, y, z in corners) + faces).encode()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def glb(width: int, height: int) -> bytes:
    """A GLB whose texture's header alone claims a size."""
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(bytes(99)))
    binary = head + bytes(-len(head) % 4)
    tree = {
        "asset": {"version": "2.0"},
        "buffers": [{"byteLength": len(binary)}],
        "bufferViews": [{"buffer": 0, "byteLength": len(head)}],
        "images": [{"bufferView": 0, "mimeType": "image/png"}],
        "meshes": [],
    }
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<II", len(text), 0x4E4F534A) + text + struct.pack("<II", len(binary), 0x004E4942) + binary
    return b"glTF" + struct.pack("<II", 2, 12 + len(chunks)) + chunks


CROWD = b"ply\nformat ascii 1.0\nelement vertex 3\nelement face 2000001\nend_header\n"
MODELS = {
    "no faces.obj": (obj(faces=""), "faces"),
    "not a number.obj": (obj(more="v nan nan nan\nv nan nan nan\nf 5 6 1\n"), "NaN"),
    "stretched.obj": (obj(scale=(1e6, 1, 1)), "m long"),
    "bomb.glb": (glb(60_000, 60_000), "pixels"),
    "crowded.ply": (CROWD, "2,000,001 faces"),
    "text.ply": (b"hello", "cannot be read"),
}


def write(folder: Path, files: dict[str, bytes]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("DETENT_WORKERS", "1")
    monkeypatch.setenv("DETENT_RENDER_BACKEND", "scalar")
    made = Workspace.from_settings(Settings())
    make_workspace(made)
    validation = {"small_side_px": 16, "max_quarantined_share": 0.9, "max_class_ratio": 20}
    write_params(made, synthesis=SYNTHESIS, validation=validation)
    return made


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["detent", "run", "synthesis", *options])
    try:
        command_line.main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def test_each_fault_is_named_and_the_rest_of_the_run_is_unharmed(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = tmp_path / "catalog"
    speck = Image.new("RGB", (64, 64), "white")
    ImageDraw.Draw(speck).rectangle((30, 30, 34, 34), fill="black")
    full = Image.open(io.BytesIO(noise((64, 64), 1))).convert("RGBA")
    full.paste((0, 0, 0, 0), (0, 0, 64, 1))
    write(catalog / "ball", {"good.png": product((200, 40, 40)), "full.png": png(full), "speck.png": png(speck)})
    inside_out = obj("f 1 2 3\nf 1 4 2\nf 2 4 3\nf 1 3 4\n", more="mtllib gone.mtl\n")
    write(catalog / "cone", {"inside out.obj": inside_out, "old.fbx": b"..."})
    write(catalog / "cone", {name: data for name, (data, _) in MODELS.items()})
    write(
        tmp_path / "backgrounds", {"small.png": noise((20, 20), 3), "wide.png": noise((40, 90), 4), "text.jpg": b"text"}
    )
    assert run(monkeypatch, "--catalog", str(catalog), "--backgrounds", str(tmp_path / "backgrounds")) == 0
    told = read_report(workspace.stage("synthesis"))
    left_out = [text for name, text in told.facts.items() if name.startswith("left out")]
    for name, (_, why) in MODELS.items():
        assert [text for text in left_out if f"cone/{name}" in text and why in text], name
    assert [text for text in left_out if text.startswith("ball/full.png: its cut-out fills")]
    assert [text for text in left_out if text.startswith("ball/speck.png: its cut-out is almost empty")]
    assert len(left_out) == len(MODELS) + 2
    (doubtful,) = [text for name, text in told.facts.items() if name.startswith("doubtful")]
    assert "cone/inside out.obj" in doubtful
    ignored = json.loads((workspace.source("catalog") / "source.json").read_text())["ignored"]
    assert ".fbx" in ignored["cone/old.fbx"] and "missing" in ignored["cone/gone.mtl"]
    quarantined = json.loads((workspace.stage("validation") / "quarantine.json").read_text())
    assert {item["name"] for item in quarantined} == {"text.jpg"}
    rows = manifest.read(workspace.stage("synthesis")).to_pylist()
    assert {row["label"]: row["source"] for row in rows} == {"ball": "paste", "cone": "render"}
    assert {row["f_background"] for row in rows} == {"photo"}

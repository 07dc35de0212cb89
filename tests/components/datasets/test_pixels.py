"""The pixel store decodes once, row by row as the manifest says, and survives a kill."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core.digests import sample_id
from components.core.errors import DataError
from components.core.manifest import ManifestWriter
from components.datasets import pixels as pixels_module
from components.datasets.decoding import decode_fit
from components.datasets.pixels import PixelStore


def png(colour: tuple[int, int, int]) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 16), colour).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with ManifestWriter(tmp_path / "photos", rows_per_shard=4) as writer:
        for index in range(10):
            data = png((index * 20, 0, 255 - index))
            image = {"bytes": data, "path": f"a/{index}.png"}
            writer.write({"sample_id": sample_id(data), "image": image, "label": "ab"[index % 2], "source": "photo"})
    return tmp_path / "photos"


def test_rows_line_up_with_the_manifest(folder: Path, tmp_path: Path) -> None:
    store = PixelStore.open(folder, size_px=12, cache=tmp_path / "cache")
    assert store.pixels.shape == (10, 12, 12, 3) and len(store) == 10
    assert [int(p[0, 0, 0]) for p in store.pixels] == [i * 20 for i in range(10)]
    assert (store.pixels[3] == decode_fit(png((60, 0, 252)), 12, name="x")).all()
    assert store.sample_ids[3] == sample_id(png((60, 0, 252)))
    assert "image" not in store.table.column_names
    assert store.label_indices(["a", "b"]).tolist() == [0, 1] * 5
    with pytest.raises(DataError, match="'b'"):
        store.label_indices(["a"])


def test_second_open_decodes_nothing(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.array(PixelStore.open(folder, size_px=12, cache=tmp_path / "cache").pixels)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("decoded again")

    monkeypatch.setattr(pixels_module, "decode_fit", refuse)
    assert (PixelStore.open(folder, size_px=12, cache=tmp_path / "cache").pixels == first).all()
    with pytest.raises(AssertionError):
        PixelStore.open(folder, size_px=13, cache=tmp_path / "cache")


def test_what_another_decoder_made_is_not_taken(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    PixelStore.open(folder, size_px=12, cache=tmp_path / "cache")
    monkeypatch.setattr(pixels_module, "decode_fit", lambda *_, **__: np.full((12, 12, 3), 7, np.uint8))
    assert not (PixelStore.open(folder, size_px=12, cache=tmp_path / "cache").pixels == 7).all()
    asked: list[object] = []
    monkeypatch.setattr(pixels_module, "code_digest", lambda roots, _: asked.append(roots) or "of other code")
    assert (PixelStore.open(folder, size_px=12, cache=tmp_path / "cache").pixels == 7).all()
    assert asked == [["components.datasets.decoding"]]


def test_a_run_killed_half_way_leaves_nothing_that_counts(folder: Path, tmp_path: Path) -> None:
    first = PixelStore.open(folder, size_px=12, cache=tmp_path / "cache").pixels
    made = next((tmp_path / "cache").glob("*.npy"))
    whole = made.read_bytes()
    made.unlink()
    orphan = made.with_name(f".{made.name}.0a1b2c3d.partial")
    orphan.write_bytes(whole[:300])
    again = PixelStore.open(folder, size_px=12, cache=tmp_path / "cache").pixels
    assert (again == first).all() and not orphan.exists()


def test_an_undecodable_image_is_named(tmp_path: Path) -> None:
    with ManifestWriter(tmp_path / "bad") as writer:
        writer.write({"sample_id": "0" * 32, "image": {"bytes": b"no", "path": "shelf/x.jpg"}, "source": "photo"})
    with pytest.raises(DataError, match=r"shelf/x\.jpg"):
        PixelStore.open(tmp_path / "bad", size_px=8, cache=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_an_empty_manifest_gives_an_empty_store(tmp_path: Path) -> None:
    with ManifestWriter(tmp_path / "none"):
        pass
    store = PixelStore.open(tmp_path / "none", size_px=8, cache=tmp_path / "cache")
    assert store.pixels.shape == (0, 8, 8, 3) and store.labels == []


def test_two_processes_share_one_decoding(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from components.datasets.pixels import PixelStore\n"
        "store = PixelStore.open(pathlib.Path(sys.argv[1]), size_px=12, cache=pathlib.Path(sys.argv[2]))\n"
        "print(int(store.pixels.sum()))\n"
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    sums = {process.communicate()[0] for process in running}
    assert len(sums) == 1 and all(process.returncode == 0 for process in running)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1

"""Folders, CSV and COCO, local and on s3://, become the same manifest; what is wrong with them is named."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from components.core import manifest
from components.core.digests import digest_tree
from components.core.errors import DataError, SourceError, StorageError
from components.datasets import sources
from components.datasets.listings import source_errors
from components.datasets.sources import check_classes, fingerprint, ingest, ingest_nothing
from components.workloads.products.workload import BACKGROUNDS, CATALOG, PHOTOS


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (16, 16, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def draw(folder: Path, names: list[str]) -> Path:
    for seed, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg(seed))
    return folder


HOSTILE = [
    "-rf/--help.jpg",
    "a b/ü ñ.jpeg",
    "a b/new\nline.PNG",
    "a b/[1]*?.jpg",
    "zwölf/{x}.webp",
    "zwölf/deep/er/x.bmp",
]


def test_a_class_folder_becomes_a_manifest(tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", HOSTILE)
    summary = ingest(str(photos), out=tmp_path / "out", source=PHOTOS, licence="MIT")
    rows = manifest.read(tmp_path / "out").to_pylist()
    assert [row["image"]["path"] for row in rows] == sorted(HOSTILE)
    assert all(row["image"]["bytes"] == (photos / row["image"]["path"]).read_bytes() for row in rows)
    assert summary.classes == {"-rf": 1, "a b": 3, "zwölf": 2} and summary.num_images == 6
    assert {(row["source"], row["licence"], row["split"]) for row in rows} == {("photo", "MIT", None)}


def test_what_is_left_out_is_listed_with_its_reason(tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", ["a/1.jpg", "stray.jpg", "a/.hidden.jpg", "a/Thumbs.db", "b/notes.txt", "b/x"])
    (photos / "a" / "dangling.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert ingest(str(photos), out=tmp_path / "out", source=PHOTOS).num_ignored == 6
    ignored = json.loads((tmp_path / "out" / "source.json").read_text())["ignored"]
    assert "hidden" in ignored["a/.hidden.jpg"] and ".db" in ignored["a/Thumbs.db"] and ".txt" in ignored["b/notes.txt"]
    assert "class" in ignored["stray.jpg"] and "none" in ignored["b/x"] and "dangling" in ignored["a/dangling.jpg"]


def test_links_to_files_and_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    real = draw(tmp_path / "real", ["x/1.jpg", "2.jpg"])
    photos = draw(tmp_path / "photos", ["a/0.jpg"])
    (photos / "a" / "linked.jpg").symlink_to(real / "2.jpg")
    (photos / "b").symlink_to(real / "x")
    (photos / "b2").symlink_to(real / "x")
    (photos / "a" / "up").symlink_to(photos)
    summary = ingest(str(photos), out=tmp_path / "out", source=PHOTOS)
    assert summary.classes == {"a": 2, "b": 1, "b2": 1} and summary.num_ignored == 1


def test_a_target_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    photos = draw(tmp_path / "photos", ["a/1.jpg", "b/2.jpg"])
    with pytest.raises(StorageError, match="cannot write"):
        ingest(str(photos), out=photos / "a/1.jpg" / "x" / "out", source=PHOTOS)


def test_a_file_that_vanishes_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw(tmp_path / "photos", ["a/1.jpg", "b/2.jpg"])
    listing = sources.list_images(str(photos), labelled=True)
    (photos / "b/2.jpg").unlink()
    monkeypatch.setattr(sources, "list_images", lambda *_, **__: listing)
    with pytest.raises(SourceError, match=r"b/2\.jpg"):
        ingest(str(photos), out=tmp_path / "out", source=PHOTOS)
    assert not (tmp_path / "out").exists()


def test_backgrounds_need_no_classes(tmp_path: Path) -> None:
    summary = ingest(str(draw(tmp_path / "b", ["1.jpg", "x/y/2.jpg"])), out=tmp_path / "out", source=BACKGROUNDS)
    assert summary.num_images == 2 and summary.classes == {}


def test_a_file_over_the_cap_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw(tmp_path / "p", ["a/1.jpg", "a/2.jpg"])
    (photos / "a/big.jpg").write_bytes(bytes(5000))
    monkeypatch.setattr(sources, "MAX_FILE_BYTES", 4000)
    assert ingest(str(photos), out=tmp_path / "out", source=PHOTOS).num_images == 2
    assert "5,000 bytes" in (tmp_path / "out" / "source.json").read_text()


def test_equal_folders_give_equal_bytes_and_no_absolute_path(tmp_path: Path) -> None:
    for name in ("one", "two"):
        photos = draw(tmp_path / name / "photos", ["a/1.jpg", "b/2.jpg"])
        os.utime(photos / "a/1.jpg", (1, 1 if name == "one" else 2))
        ingest(str(photos), out=tmp_path / f"{name}.out", source=PHOTOS)
    assert digest_tree(tmp_path / "one.out") == digest_tree(tmp_path / "two.out")
    assert str(tmp_path) not in (tmp_path / "one.out" / "source.json").read_text()


def test_an_unchanged_folder_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = draw(tmp_path / "photos", ["a/1.jpg", "b/2.jpg"])

    def run() -> bool:
        return ingest(str(photos), out=tmp_path / "out", source=PHOTOS, fingerprint_file=tmp_path / "mark").changed

    assert run() and not run()
    mark = fingerprint(str(photos), source=PHOTOS)
    assert mark == (tmp_path / "mark").read_text()
    draw(photos, ["b/3.jpg"])
    assert run() and not run()
    os.utime(photos / "a/1.jpg", (5, 5))
    assert fingerprint(str(photos), source=PHOTOS) != mark and run()
    shutil.rmtree(tmp_path / "out")
    assert run()
    ingest_nothing(tmp_path / "out", PHOTOS)
    assert run() and manifest.count(tmp_path / "out") == 3


def test_no_source_gives_an_empty_manifest(tmp_path: Path) -> None:
    assert ingest_nothing(tmp_path / "out", PHOTOS).changed
    assert not ingest_nothing(tmp_path / "out", PHOTOS).changed
    assert manifest.count(tmp_path / "out") == 0


def test_csv_rows_carry_label_split_and_group(tmp_path: Path) -> None:
    draw(tmp_path, ["img/1.jpg", "img/2 ü.jpg", "img/3.jpg"])
    rows = "\ufeffimage,label,split,group\nimg/2 ü.jpg,b,certify,g1\nimg/1.jpg,a,,\nimg/1.jpg,a,,\n"
    (tmp_path / "list.csv").write_text(rows, encoding="utf-8")
    summary = ingest(str(tmp_path / "list.csv"), out=tmp_path / "out", source=PHOTOS)
    taken = manifest.read(tmp_path / "out", ["label", "split", "group"]).to_pylist()
    assert taken == [
        {"label": "a", "split": None, "group": None},
        {"label": "b", "split": "certify", "group": "g1"},
    ]
    assert summary.num_ignored == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\nimg/1.jpg,a\n", r"found columns \['name', 'label'\]"),
        ("path\nimg/1.jpg\n", "'label'"),
        ("", "found columns"),
        ("path,label\n" + "x" * 140_000 + ",a\n", "no CSV file"),
        ("path,label\nimg/no.jpg,a\nimg/1.jpg,a\nimg/nor.jpg,b\n", r"2 of its files are missing.*no\.jpg"),
        ("path,label\n../secret.jpg,a\n", "leads outside"),
        ("path,label\n/etc/passwd,a\n", "leads outside"),
        ("path,label\nfile:///etc/passwd,a\n", "leads outside"),
        ("path,label\nimg/1.jpg,\n", "line 2: empty"),
        ("path,label,split\nimg/1.jpg,a,test\n", "split 'test', allowed"),
    ],
)
def test_csv_faults_are_named(tmp_path: Path, text: str, message: str) -> None:
    draw(tmp_path, ["img/1.jpg"])
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(SourceError, match=message):
        ingest(str(tmp_path / "list.csv"), out=tmp_path / "out", source=PHOTOS)
    assert not (tmp_path / "out").exists()


def coco(folder: Path, **changes: object) -> Path:
    draw(folder, ["i/1.jpg", "i/2.jpg", "i/3.jpg"])
    value = {
        "images": [{"id": n, "file_name": f"i/{n}.jpg"} for n in (1, 2, 3)],
        "annotations": [{"image_id": i, "category_id": c} for i, c in ((1, 7), (1, 7), (2, 7), (2, 8))],
        "categories": [{"id": 7, "name": "mug"}, {"id": 8, "name": "lamp"}],
    }
    (folder / "coco.json").write_text(json.dumps({**value, **changes}))
    return folder / "coco.json"


def test_coco_takes_single_category_images_and_names_the_rest(tmp_path: Path) -> None:
    summary = ingest(str(coco(tmp_path)), out=tmp_path / "out", source=PHOTOS)
    ignored = json.loads((tmp_path / "out" / "source.json").read_text())["ignored"]
    assert summary.classes == {"mug": 1}
    assert "lamp, mug" in ignored["i/2.jpg"] and "no annotation" in ignored["i/3.jpg"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": []}, "no COCO file"),
        ({"annotations": [{"image_id": 99, "category_id": 7}]}, "99"),
        ({"images": [{"id": 1, "file_name": "../up.jpg"}]}, "no COCO file"),
        ({"images": [{"id": n, "file_name": f"../{n}.jpg"} for n in (1, 2, 3)]}, "leads outside"),
        ({"images": 3}, "no COCO file"),
    ],
)
def test_coco_faults_are_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(SourceError, match=message):
        ingest(str(coco(tmp_path, **changes)), out=tmp_path / "out", source=PHOTOS)


def test_unusable_addresses_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    draw(tmp_path / "texts", ["a/x.txt"])
    draw(tmp_path / "flat", ["x.jpg"])
    draw(tmp_path / "single", ["a/x.jpg", "a/y.jpg"])
    for name, message in {
        "missing": "does not exist",
        "empty": "it is empty",
        "texts": r"not an image suffix: \.txt",
        "flat": "sub-folder",
        "flat/x.jpg": "is a file",
        "single": "at least 2 classes",
        "nope://x": "cannot open",
    }.items():
        address = name if "://" in name else str(tmp_path / name)
        with pytest.raises(SourceError, match=message):
            ingest(address, out=tmp_path / "out", source=CATALOG)


def test_class_mismatch_is_named_both_ways(tmp_path: Path) -> None:
    ingest(str(draw(tmp_path / "c", ["a/1.jpg", "b/1.jpg", "c/1.jpg"])), out=tmp_path / "catalog", source=CATALOG)
    ingest(str(draw(tmp_path / "p", ["a/1.jpg", "b/2.jpg"])), out=tmp_path / "photos", source=PHOTOS)
    assert check_classes(tmp_path / "catalog", tmp_path / "photos") == ["c"]
    ingest(str(draw(tmp_path / "q", ["a/1.jpg", "mugs/2.jpg"])), out=tmp_path / "photos", source=PHOTOS)
    with pytest.raises(DataError, match="mugs"):
        check_classes(tmp_path / "catalog", tmp_path / "photos")


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An S3 server of our own on a free port, reached through the environment as users do."""
    import s3fs
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    s3fs.S3FileSystem().mkdir("shop")
    yield "s3://shop"
    server.stop()
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_s3_gives_the_same_manifest_as_the_folder(tmp_path: Path, bucket: str) -> None:
    import s3fs

    photos = draw(tmp_path / "photos", ["a b/1.jpg", "a b/ü.jpg", "c/2.jpg", "c/readme.txt"])
    (photos / "list.csv").write_text("path,label\nc/2.jpg,c\n")
    s3fs.S3FileSystem().put(str(photos), f"{bucket}/photos", recursive=True)
    mark = tmp_path / "mark"
    assert ingest(f"{bucket}/photos", out=tmp_path / "far", source=PHOTOS, fingerprint_file=mark).changed
    assert not ingest(f"{bucket}/photos/", out=tmp_path / "far", source=PHOTOS, fingerprint_file=mark).changed
    ingest(str(photos), out=tmp_path / "near", source=PHOTOS)
    assert digest_tree(tmp_path / "far", "*.parquet") == digest_tree(tmp_path / "near", "*.parquet")
    assert ingest(f"{bucket}/photos/list.csv", out=tmp_path / "csv", source=PHOTOS).num_images == 1
    with pytest.raises(SourceError, match="does not exist"):
        ingest(f"{bucket}/nothing", out=tmp_path / "no", source=PHOTOS)
    with pytest.raises(SourceError, match="does not exist"):
        ingest("s3://no-such-bucket/x", out=tmp_path / "no", source=PHOTOS)


def test_a_stores_own_errors_become_ours_and_bugs_do_not() -> None:
    with pytest.raises(SourceError, match=r"s3://x: .*no credentials.*check the address"), source_errors("s3://x"):
        raise RuntimeError("no credentials")
    with pytest.raises(RuntimeError), source_errors("folder"):
        raise RuntimeError("a bug")

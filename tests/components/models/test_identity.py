"""An artefact is what its card lists: its digest covers that and nothing else goes along."""

import json
from pathlib import Path

import pytest

from components.core.digests import digest_file, digest_json
from components.core.errors import DataError
from components.models.identity import CARD, SUFFIXES, WEIGHTS, artefact_files, copy_artefact, model_digest

FILES = ["detector.safetensors", "catalog.index", "words.txt"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of three files."""
    return write(tmp_path / "model", FILES)


def write(folder: Path, files: list[str], *, card: dict | None = None) -> Path:
    folder.mkdir()
    for name in files:
        (folder / name).write_text(f"content of {name}")
    (folder / CARD).write_text(json.dumps({"files": files} if card is None else card))
    return folder


def relist(folder: Path, files: object) -> Path:
    (folder / CARD).write_text(json.dumps({"files": files}))
    return folder


def test_a_card_that_lists_nothing_means_one_file_of_weights_and_keeps_its_digest(tmp_path: Path) -> None:
    folder = write(tmp_path / "m", [WEIGHTS], card={"schema": 1, "classes": ["a"]})
    assert artefact_files(folder) == (WEIGHTS,)
    assert model_digest(folder) == digest_json([digest_file(folder / WEIGHTS), digest_file(folder / CARD)])


@pytest.mark.parametrize("name", [*FILES, CARD])
def test_any_other_byte_is_another_model(folder: Path, name: str) -> None:
    before = model_digest(folder)
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    assert model_digest(folder) != before


def test_two_files_that_change_places_are_another_model(folder: Path) -> None:
    before = model_digest(folder)
    assert model_digest(relist(folder, [FILES[1], FILES[0], FILES[2]])) != before
    relist(folder, FILES)
    contents = [(folder / name).read_bytes() for name in FILES]
    for name, content in zip(FILES, [contents[1], contents[0], contents[2]], strict=True):
        (folder / name).write_bytes(content)
    assert model_digest(folder) != before


def test_a_copy_holds_what_is_listed(folder: Path, tmp_path: Path) -> None:
    (folder / ".words.txt.0815.partial").write_text("left by a kill")
    assert copy_artefact(folder, tmp_path / "copy") == model_digest(folder)
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == sorted([*FILES, CARD])


def test_what_is_missing_or_not_listed_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"holds catalog\.index, words\.txt, which model\.json does not list"):
        model_digest(relist(folder, FILES[:1]))
    with pytest.raises(DataError, match=r"more\.txt is missing"):
        copy_artefact(relist(folder, [*FILES, "more.txt"]), tmp_path / "copy")
    with pytest.raises(DataError, match=r"model\.json is missing"):
        model_digest(tmp_path / "nothing")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    "name", ["weights.pt", "w.pth", "index.pkl", "w.bin", "a.joblib", "A.PT", "x.ckpt", "x.pickle"]
)
def test_a_pickle_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"\x80\x04.")
    with pytest.raises(DataError, match="a pickle runs code when it is read: save tensors as safetensors"):
        model_digest(relist(folder, [*FILES, name]))


@pytest.mark.parametrize("name", ["run.py", "archive.zip", "weights", "w.safetensors.gz"])
def test_another_kind_of_file_names_the_allowed_ones(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"")
    with pytest.raises(DataError, match=f"allowed are files that end in {', '.join(SUFFIXES)}"):
        model_digest(relist(folder, [*FILES, name]))


@pytest.mark.parametrize(
    "name", ["../secret.txt", "sub/words.txt", "/etc/hosts.txt", "..", "", "a\\b.txt", ".hidden.txt", CARD]
)
def test_a_name_that_is_not_plain_is_refused(folder: Path, name: str) -> None:
    with pytest.raises(DataError, match="expected plain names of other files in this folder"):
        model_digest(relist(folder, [*FILES, name]))


@pytest.mark.parametrize("files", [[], "model.safetensors", [1], {"a": 1}, None, [FILES[0], FILES[0]]])
def test_a_list_that_is_none_is_named(folder: Path, files: object) -> None:
    with pytest.raises(DataError, match=r"model\.json: field files"):
        model_digest(relist(folder, files))


@pytest.mark.parametrize("name", ["words.txt", CARD])
def test_a_link_out_of_the_folder_is_refused(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes((folder / name).read_bytes())
    (folder / name).unlink()
    (folder / name).symlink_to(outside)
    with pytest.raises(DataError, match="outside of the model's folder"):
        copy_artefact(folder, tmp_path / "copy")

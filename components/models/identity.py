"""An artefact: a folder whose card lists its files, and the digest that names it.

`model.json` is the card. Its field `files` names what else the artefact is made of: weights of several networks, an
index, thresholds, a vocabulary; without it that is `model.safetensors` alone. What else a card says is the workload's
affair. Needs no torch, so that asking which model this is is quick.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from components.core.digests import digest_file, digest_json
from components.core.errors import DataError
from components.core.files import atomic_directory, atomic_path, read_json

WEIGHTS = "model.safetensors"
CARD = "model.json"
SUFFIXES = (".safetensors", ".parquet", ".json", ".onnx", ".index", ".faiss", ".txt")
_PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".bin", ".joblib", ".ckpt")


def artefact_files(folder: Path) -> tuple[str, ...]:
    """The names of a model's files in the order of its card, the card itself left out.

    DataError names a file that is missing, not listed, no plain file of this folder, or of a kind that is not read
    (never a pickle). Hidden files, which killed writes leave, are no part of it.
    """
    card = folder / CARD
    if not card.is_file():
        raise DataError(f"no model at {folder}: {CARD} is missing; run the training stage")
    names = read_json(card).get("files", [WEIGHTS])
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise DataError(f"{card}: field files is {names!r}, expected the names of one file or more")
    if len(set(names)) < len(names):
        raise DataError(f"{card}: field files lists a file twice: {names}")
    for name in names:
        _check_name(name, card)
    for name in (*names, CARD):
        _check_file(folder / name)
    _check_rest(folder, names)
    return tuple(names)


def model_digest(folder: Path) -> str:
    """The digest of a model: of each file that its card lists, and of the card; DataError as `artefact_files`."""
    files = artefact_files(folder)
    return digest_json([digest_file(folder / name) for name in (*files, CARD)])


def copy_artefact(folder: Path, out: Path) -> str:
    """Copy a model, and nothing that it does not list, to the folder `out` atomically; the copy's digest."""
    files = artefact_files(folder)
    with atomic_directory(out) as partial:
        for name in (*files, CARD):
            with atomic_path(partial / name) as copied:
                shutil.copyfile(folder / name, copied)
    return model_digest(out)


def _check_name(name: str, card: Path) -> None:
    if not name or name != Path(name).name or "\\" in name or name.startswith(".") or name == CARD:
        raise DataError(f"{card}: field files lists {name!r}, expected plain names of other files in this folder")
    suffix = Path(name).suffix.lower()
    if suffix in _PICKLES:
        raise DataError(
            f"{card}: field files lists {name!r}, and a pickle runs code when it is read: save tensors as safetensors, "
            "tables as Parquet"
        )
    if suffix not in SUFFIXES:
        raise DataError(f"{card}: field files lists {name!r}, allowed are files that end in {', '.join(SUFFIXES)}")


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise DataError(f"no whole model at {path.parent}: {path.name} is missing; run the training stage")
    if path.is_symlink() and path.resolve().parent != path.parent.resolve():
        raise DataError(f"{path} links to {path.resolve()}, outside of the model's folder: put the file itself there")


def _check_rest(folder: Path, names: Sequence[str]) -> None:
    there = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    more = [name for name in there if name not in (*names, CARD)]
    if more:
        raise DataError(
            f"{folder} holds {', '.join(more)}, which {CARD} does not list: add to its field files, or take away"
        )

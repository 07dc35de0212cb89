"""Makes a Bento of a model: only what serving needs, under a tag that is the digest of what it ships.

The digest covers the shipped source, the model's two files and the pinned requirements, and no time stamp, so
making the same thing again finds the Bento that is there. A Bento is built in a folder of its own and renamed
into the store when it is whole: a killed build leaves nothing that a later run takes for one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from components.core.digests import digest_file, digest_json
from components.core.errors import IntegrityError, SourceError, StateError
from components.core.files import install_directory, storage_errors, write_json, write_text
from components.models.identity import CARD, WEIGHTS, model_digest
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, Identity
from components.serving.requirements import pinned_requirements

NAME = "detent"
SERVICE = "components.serving.service:Detent"
DESCRIPTION = "Classifies images: POST /classify, field image (multipart file, or base64 in JSON)."
SOURCES = (
    "components/__init__.py",
    "components/core/*.py",
    "components/datasets/__init__.py",
    "components/datasets/decoding.py",
    "components/models/**/*.py",
    "components/serving/*.py",
)
SHIPPED = (*SOURCES, f"{MODEL_FOLDER}/{WEIGHTS}", f"{MODEL_FOLDER}/{CARD}", IDENTITY_FILE)
_ROOT = Path(__file__).resolve().parents[2]
_TAG_LENGTH = 12
_BUILD_FILE = "bentofile.yaml"  # written into the Bento by BentoML, with its own defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class BentoRef:
    """A built Bento: its tag `detent:VERSION`, the digest of what it ships, its folder and its model."""

    tag: str
    digest: str
    path: Path
    model_digest: str


def build_bento(model_folder: Path, *, version_info: Mapping[str, str], bento_home: Path) -> BentoRef:
    """Build the Bento of a model into the store at `bento_home`, or find it there.

    `version_info` comes out with every answer (`version` and whatever else the release says). StateError
    carries what BentoML said when it could not build.
    """
    with storage_errors(bento_home):
        bento_home.mkdir(parents=True, exist_ok=True)
        with FileLock(bento_home / ".build.lock"):
            _remove_leftovers(bento_home)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=bento_home) as scratch:
                context = Path(scratch) / "context"
                identity = _stage(context, model_folder, version_info)
                digest = _shipped_digest(context)
                path = bento_home / "bentos" / NAME / digest[:_TAG_LENGTH]
                if not path.is_dir() or _shipped_digest(path / "src") != digest:
                    made = _run_build(context, Path(scratch) / "home", path.name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    install_directory(made, path)
                write_text(path.parent / "latest", path.name)
    return BentoRef(tag=f"{NAME}:{path.name}", digest=digest, path=path, model_digest=identity.model_digest)


def find_bento(bento_home: Path, tag: str) -> Path:
    """The folder of a built Bento by its tag `detent:VERSION`; SourceError when the store does not hold it."""
    name, _, version = tag.partition(":")
    path = bento_home / "bentos" / name / version
    if name != NAME or not version or not (path / "bento.yaml").is_file():
        raise SourceError(f"no Bento {tag!r} in {bento_home}: run the packaging stage, or choose another tag")
    return path


def check_content(bento: BentoRef) -> None:
    """Raise IntegrityError when a Bento's files are not those that it was built from."""
    found = content_digest(bento.path)
    if found != bento.digest:
        raise IntegrityError(
            f"the Bento {bento.tag} at {bento.path} ships content with digest {found[:12]}, expected "
            f"{bento.digest[:12]}: it was changed after it was built; run the packaging stage again"
        )


def content_digest(path: Path) -> str:
    """The digest of what the Bento at `path` ships, computed afresh from its files."""
    return _shipped_digest(path / "src")


def _stage(context: Path, model_folder: Path, version_info: Mapping[str, str]) -> Identity:
    for pattern in SOURCES:
        for source in sorted(_ROOT.glob(pattern)):
            _copy(source, context / source.relative_to(_ROOT))
    identity = Identity(
        model_digest=model_digest(model_folder),
        version_info=version_info,
        requirements=pinned_requirements(model_folder),
    )
    for name in (WEIGHTS, CARD):
        _copy(model_folder / name, context / MODEL_FOLDER / name)
    write_json(context / IDENTITY_FILE, identity.to_json())
    return identity


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def _shipped_digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    shipped = [(p.relative_to(folder).as_posix(), p) for p in files]
    return digest_json([[name, digest_file(p)] for name, p in shipped if name != _BUILD_FILE])


def _run_build(context: Path, home: Path, version: str) -> Path:
    """Run BentoML's build in a process of its own, which imports the staged source and not this one."""
    import yaml

    config: dict[str, Any] = {"service": SERVICE, "description": DESCRIPTION, "include": [f"/{p}" for p in SHIPPED]}
    (context / _BUILD_FILE).write_text(yaml.safe_dump(config), encoding="utf-8")
    own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-m", "bentoml", "build", "--bentofile", _BUILD_FILE, "--version", version, "."],
        cwd=context,
        env={**own, "BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    made = home / "bentos" / NAME / version
    if done.returncode != 0 or not (made / "bento.yaml").is_file():
        raise StateError(f"BentoML could not build a Bento (exit code {done.returncode}):\n{done.stderr.strip()}")
    return made


def _remove_leftovers(bento_home: Path) -> None:
    for leftover in bento_home.glob(".building-*"):
        shutil.rmtree(leftover, ignore_errors=True)

"""Makes a Bento of a model: only what serving needs, under a tag that is the digest of what it ships.

The source that it ships is the import closure of the service and of the workload's application, each module under its
import path, a foreign package's too. The digest covers that, the model's files and the pinned requirements, and no time
stamp, so making the same thing again finds the Bento that is there. A Bento is built in a folder of its own and renamed
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

from components.core.closures import closure
from components.core.digests import digest_file, digest_json
from components.core.errors import ConfigError, IntegrityError, SourceError, StateError
from components.core.files import install_directory, storage_errors, write_json, write_text
from components.core.workloads import Service
from components.models.identity import copy_artefact
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, Identity
from components.serving.requirements import pinned_requirements

NAME = "detent"
SERVICE = "components.serving.service:Detent"
_OURS = "components"
_TAG_LENGTH = 12
_BUILD_FILE = "bentofile.yaml"  # written into the Bento by BentoML, with its own defaults


@dataclass(frozen=True, slots=True, kw_only=True)
class BentoRef:
    """A built Bento: its tag `detent:VERSION`, the digest of what it ships, its folder and its model."""

    tag: str
    digest: str
    path: Path
    model_digest: str


def build_bento(model_folder: Path, *, service: Service, version_info: Mapping[str, str], bento_home: Path) -> BentoRef:
    """Build the Bento of a model and a workload's service into the store at `bento_home`, or find it there.

    `version_info` comes out with every answer (`version` and whatever else the release says). StateError
    carries what BentoML said when it could not build.
    """
    with storage_errors(bento_home):
        bento_home.mkdir(parents=True, exist_ok=True)
        with FileLock(bento_home / ".build.lock"):
            _remove_leftovers(bento_home)
            with tempfile.TemporaryDirectory(prefix=".building-", dir=bento_home) as scratch:
                context = Path(scratch) / "context"
                identity = stage_context(context, model_folder, service, version_info)
                digest = _shipped_digest(context)
                path = bento_home / "bentos" / NAME / digest[:_TAG_LENGTH]
                if not path.is_dir() or _shipped_digest(path / "src") != digest:
                    made = _run_build(context, Path(scratch) / "home", path.name, service.description)
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


def shipped_sources(application: str) -> dict[str, Path]:
    """By its place in a Bento each source file that it ships for an application "module:function".

    ConfigError when there is no such module.
    """
    module, _, function = application.partition(":")
    if not module or not function:
        raise ConfigError(f'application {application!r} of the service is no "module:function"')
    modules = closure((SERVICE.partition(":")[0], module), frozenset({_OURS, module.partition(".")[0]}))
    return {_place(name, path): path for name, path in modules.items()}


def _place(name: str, path: Path) -> str:
    """Where a module lies below a folder of the import path, or a file "package/file" beside it."""
    module, beside, file = name.partition("/")
    folder = module.replace(".", "/")
    if beside:
        return f"{folder}/{file}"
    return f"{folder}/{path.name}" if path.name == "__init__.py" else f"{folder}{''.join(path.suffixes)}"


def stage_context(context: Path, model_folder: Path, service: Service, version_info: Mapping[str, str]) -> Identity:
    """Lay out in `context` all that the Bento ships; what it is."""
    for place, source in shipped_sources(service.application).items():
        _copy(source, context / place)
    identity = Identity(
        model_digest=copy_artefact(model_folder, context / MODEL_FOLDER),
        application=service.application,
        endpoint=service.endpoint,
        version_info=version_info,
        requirements=pinned_requirements((*service.packages, *service.more_packages(model_folder))),
    )
    write_json(context / IDENTITY_FILE, identity.to_json())
    return identity


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)


def shipped_files(context: Path) -> list[str]:
    """What a bentofile includes to ship all that lies in `context`, in order."""
    files = [path.relative_to(context).as_posix() for path in context.rglob("*") if path.is_file()]
    return [f"/{name}" for name in sorted(files) if name != _BUILD_FILE]


def _shipped_digest(folder: Path) -> str:
    files = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    shipped = [(p.relative_to(folder).as_posix(), p) for p in files]
    return digest_json([[name, digest_file(p)] for name, p in shipped if name != _BUILD_FILE])


def _run_build(context: Path, home: Path, version: str, description: str) -> Path:
    """Run BentoML's build in a process of its own, which imports the staged source and not this one."""
    import yaml

    config: dict[str, Any] = {"service": SERVICE, "description": description, "include": shipped_files(context)}
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

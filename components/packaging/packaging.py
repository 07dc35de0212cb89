"""The packaging stage: a Bento of the promoted model, done only once the started Bento answers as evaluated.

`out` receives `bento.json` (what was built), `parity.json` (the evidence), `recording` (what the Bento was held to,
the workload's own file) and, under `model/` with `identity.json` beside it, what a plain `bentoml build` of the
repository ships. Nothing carries a time stamp.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from components.core.digests import digest_file
from components.core.errors import DataError, IntegrityError
from components.core.files import atomic_path, read_json, write_json
from components.core.workloads import Compare, Parity, Service
from components.models.identity import copy_artefact
from components.packaging.building import BentoRef, build_bento
from components.packaging.parity import check_parity
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, read_identity

BENTO_FILE = "bento.json"
PARITY_FILE = "parity.json"
RECORDING_FILE = "recording"
SCHEMA_VERSION = 1
_AGAIN = "run the packaging stage again; nothing was promoted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSummary:
    """A Bento and the proof that it answers as the evaluated model."""

    bento: BentoRef
    parity: Parity


def package(
    model_folder: Path,
    *,
    service: Service,
    record: Callable[[Path], None],
    compare: Compare,
    version_info: Mapping[str, str],
    bento_home: Path,
    out: Path,
) -> PackageSummary:
    """Build the Bento of a model, hold it to what `record` writes of that model, and write all of it to `out`.

    IntegrityError when the Bento does not answer as recorded; then `out` keeps what it held before.
    """
    with tempfile.TemporaryDirectory(prefix="detent-recording-") as scratch:
        recording = Path(scratch) / RECORDING_FILE
        record(recording)
        bento = build_bento(model_folder, service=service, version_info=version_info, bento_home=bento_home)
        parity = check_parity(bento, recording, compare=compare)
        _keep_model(bento, out)
        evidence = {**asdict(parity), "max_difference": round(parity.max_difference, 6)}
        write_json(out / PARITY_FILE, {"schema": SCHEMA_VERSION, "bento": bento.tag, **evidence})
        with atomic_path(out / RECORDING_FILE) as partial:
            shutil.copyfile(recording, partial)
        write_json(out / BENTO_FILE, _bento_to_json(bento, bento_home, recording=digest_file(recording)))
    return PackageSummary(bento=bento, parity=parity)


def copy_package(made: Path, out: Path) -> None:
    """Say in `out` too which Bento was packaged in the folder `made`, with its recording."""
    for name in (RECORDING_FILE, BENTO_FILE):
        with atomic_path(out / name) as partial:
            shutil.copyfile(made / name, partial)


def read_bento(path: Path, *, bento_home: Path) -> BentoRef | None:
    """Read `bento.json`, None where it says that no Bento was made; its folder lies in the store at `bento_home`."""
    value = read_json(path)
    if value.get("tag") is None:
        return None
    try:
        return BentoRef(
            tag=str(value["tag"]),
            digest=str(value["digest"]),
            path=bento_home / str(value["path"]),
            model_digest=str(value["model_digest"]),
        )
    except KeyError as error:
        raise DataError(f"{path}: field {error} is missing; run the packaging stage again") from error


def keep_recording(folder: Path, target: Path) -> None:
    """Copy the recording that a packaging stage left in `folder` to the file `target`.

    IntegrityError when it is missing, or not the one that the Bento of `folder` was held to.
    """
    recording = folder / RECORDING_FILE
    with atomic_path(target) as partial:
        if not recording.is_file():
            raise IntegrityError(f"{recording} is missing, so nothing could verify this Bento later: {_AGAIN}")
        shutil.copyfile(recording, partial)
        if digest_file(partial) != read_json(folder / BENTO_FILE).get("recording"):
            raise IntegrityError(f"{recording} is not what the Bento of {folder / BENTO_FILE} was held to: {_AGAIN}")


def _bento_to_json(bento: BentoRef, bento_home: Path, *, recording: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA_VERSION,
        "tag": bento.tag,
        "digest": bento.digest,
        "path": bento.path.relative_to(bento_home).as_posix(),
        "model_digest": bento.model_digest,
        "recording": recording,
    }


def _keep_model(bento: BentoRef, out: Path) -> None:
    source = bento.path / "src"
    copy_artefact(source / MODEL_FOLDER, out / Path(MODEL_FOLDER).name)
    write_json(out / Path(IDENTITY_FILE).name, read_identity(source / IDENTITY_FILE).to_json())

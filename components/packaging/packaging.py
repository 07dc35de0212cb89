"""The packaging stage: a Bento of the promoted model, done only once the started Bento answers as evaluated.

`out` receives `bento.json` (what was built), `parity.json` (the evidence) and, under `model/` with
`identity.json` beside it, what a plain `bentoml build` of the repository ships. Nothing carries a time stamp.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import DataError
from components.core.files import atomic_directory, read_json, write_json
from components.models.identity import CARD, WEIGHTS
from components.packaging.building import BentoRef, build_bento
from components.packaging.parity import ParityReport, Reference, check_parity
from components.serving.identity import IDENTITY_FILE, MODEL_FOLDER, read_identity

BENTO_FILE = "bento.json"
PARITY_FILE = "parity.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageSummary:
    """A Bento and the proof that it answers as the evaluated model."""

    bento: BentoRef
    parity: ParityReport


def package(
    model_folder: Path, reference: Reference, *, version_info: Mapping[str, str], bento_home: Path, out: Path
) -> PackageSummary:
    """Build the Bento of a model, check it against the evaluation and write both results to `out`.

    IntegrityError when the Bento does not reproduce `reference`; then `out` keeps what it held before.
    """
    bento = build_bento(model_folder, version_info=version_info, bento_home=bento_home)
    parity = check_parity(bento, reference)
    _keep_model(bento, out)
    write_json(out / PARITY_FILE, {"schema": SCHEMA_VERSION, "bento": bento.tag, **parity.to_json()})
    write_json(out / BENTO_FILE, _bento_to_json(bento, bento_home))
    return PackageSummary(bento=bento, parity=parity)


def read_bento(path: Path, *, bento_home: Path) -> BentoRef:
    """Read `bento.json`; its folder lies in the store at `bento_home`."""
    value = read_json(path)
    try:
        return BentoRef(
            tag=str(value["tag"]),
            digest=str(value["digest"]),
            path=bento_home / str(value["path"]),
            model_digest=str(value["model_digest"]),
        )
    except KeyError as error:
        raise DataError(f"{path}: field {error} is missing; run the packaging stage again") from error


def _bento_to_json(bento: BentoRef, bento_home: Path) -> dict[str, Any]:
    return {
        "schema": SCHEMA_VERSION,
        "tag": bento.tag,
        "digest": bento.digest,
        "path": bento.path.relative_to(bento_home).as_posix(),
        "model_digest": bento.model_digest,
    }


def _keep_model(bento: BentoRef, out: Path) -> None:
    source = bento.path / "src"
    with atomic_directory(out / Path(MODEL_FOLDER).name) as partial:
        for name in (WEIGHTS, CARD):
            shutil.copyfile(source / MODEL_FOLDER / name, partial / name)
    write_json(out / Path(IDENTITY_FILE).name, read_identity(source / IDENTITY_FILE).to_json())

"""Examines the machine: what is installed, what is missing, which optional engines answer, with the remedy."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from components.core.errors import DetentError
from components.core.settings import Settings
from flows.answers import Answer, Table

Verdict = Literal["ok", "missing", "optional", "broken"]
REQUIRED = (
    "prefect", "dvc", "mlflow", "torch", "torchvision", "great-expectations", "bentoml", "mitsuba", "trimesh",
)  # fmt: skip
OPTIONAL = {
    "prefect-dask": "tasks on Dask: pip install 'detent[dask]'",
    "distributed": "images made on a Dask cluster: pip install 'detent[dask]'",
    "prefect-ray": "tasks on Ray: pip install 'detent[ray]'",
    "ray": "images made on a Ray cluster: pip install 'detent[ray]'",
    "onnxruntime": "a champion that comes as an ONNX file: pip install 'detent[onnx]'",
    "s3fs": "photos and caches on S3: pip install 'detent[s3]'",
    "psycopg": "journal, MLflow and Prefect on PostgreSQL: pip install 'detent[postgres]'",
}
LOW_DISK_GIB = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing examined: what was found and, where something is wrong, what to do."""

    name: str
    verdict: Verdict
    found: str
    remedy: str = ""


def examine() -> Answer:
    """Examine everything; the exit code is 1 when something that is needed is missing or broken."""
    settings = Settings()
    findings = [_python(), *map(_package, REQUIRED), _home(settings), _disk(settings), _git(), _accelerator()]
    findings += [_store("journal", lambda: _open_journal(settings)), *_optional_packages()]
    findings += [_renderer(), _prefect_server(), *_anchor(settings)]
    bad = [finding for finding in findings if finding.verdict in ("missing", "broken")]
    rows = [(finding.name, finding.verdict, finding.found, finding.remedy) for finding in findings]
    return Answer(
        value={"healthy": not bad, "findings": [asdict(finding) for finding in findings]},
        tables=[Table(title="detent doctor", columns=("what", "verdict", "found", "remedy"), rows=rows)],
        after=["all that is needed is there" if not bad else f"{len(bad)} to mend: see the remedies above"],
        exit_code=1 if bad else 0,
    )


def _python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 13):
        return Finding(name="python", verdict="ok", found=found)
    return Finding(name="python", verdict="broken", found=found, remedy="use Python 3.11 or 3.12")


def _package(name: str) -> Finding:
    try:
        return Finding(name=name, verdict="ok", found=version(name))
    except PackageNotFoundError:
        return Finding(name=name, verdict="missing", found="-", remedy="run `make setup`")


def _optional_packages() -> list[Finding]:
    return [
        Finding(name=name, verdict="ok", found=version(name))
        if find_spec(name.replace("-", "_"))
        else Finding(name=name, verdict="optional", found="not installed", remedy=remedy)
        for name, remedy in OPTIONAL.items()
    ]


def _home(settings: Settings) -> Finding:
    home = settings.home.resolve()
    nearest = next(path for path in (home, *home.parents) if path.exists())
    if nearest.is_dir() and os.access(nearest, os.W_OK):
        return Finding(name="DETENT_HOME", verdict="ok", found=str(settings.home))
    return Finding(
        name="DETENT_HOME",
        verdict="broken",
        found=f"{settings.home} cannot be written",
        remedy="set DETENT_HOME to a folder that you may write to",
    )


def _disk(settings: Settings) -> Finding:
    home = settings.home.resolve()
    nearest = next(path for path in (home, *home.parents) if path.exists())
    free_gib = shutil.disk_usage(nearest).free / 2**30
    if free_gib >= LOW_DISK_GIB:
        return Finding(name="disk", verdict="ok", found=f"{free_gib:.0f} GiB free")
    return Finding(
        name="disk", verdict="broken", found=f"{free_gib:.1f} GiB free", remedy=f"free {LOW_DISK_GIB:.0f} GiB"
    )


def _git() -> Finding:
    if shutil.which("git"):
        return Finding(name="git", verdict="ok", found=str(shutil.which("git")))
    return Finding(name="git", verdict="missing", found="-", remedy="install git: DVC's experiments need it")


def _accelerator() -> Finding:
    import torch

    from components.training.devices import uses_bf16

    if torch.cuda.is_available():
        return Finding(name="CUDA", verdict="ok", found=torch.cuda.get_device_name(0))
    precision = "bf16" if uses_bf16("auto", torch.device("cpu")) else "float32"
    remedy = f"training uses {os.cpu_count()} CPU cores, in {precision}"
    return Finding(name="CUDA", verdict="optional", found="none", remedy=remedy)


def _renderer() -> Finding:
    from components.synthesis.renders.backends import available, remedy

    fastest = available()[0].name
    if fastest == "scalar":
        return Finding(name="renderer", verdict="optional", found="scalar", remedy=remedy())
    return Finding(name="renderer", verdict="ok", found=fastest, remedy=remedy())


def _open_journal(settings: Settings) -> str:
    from components.promotion.journal import Journal

    Journal.open(settings.journal_address, home=settings.home.resolve())
    return settings.journal_address.split("://")[0]


def _anchor(settings: Settings) -> list[Finding]:
    """Whether the witness of the looks at certify is safe in git; nothing to say outside a workspace."""
    from components.core.workspace import Workspace
    from flows.budget import anchor_warning

    workspace = Workspace.from_settings(settings)
    if not workspace.ledger_anchor.is_file():
        return []
    warning = anchor_warning(workspace)
    if warning is None:
        return [Finding(name="ledger anchor", verdict="ok", found="committed")]
    return [Finding(name="ledger anchor", verdict="optional", found="not committed", remedy=warning)]


def _store(name: str, connect: Callable[[], str]) -> Finding:
    try:
        return Finding(name=name, verdict="ok", found=connect())
    except DetentError as error:
        return Finding(name=name, verdict="broken", found="does not open", remedy=str(error))


def _prefect_server() -> Finding:
    address = os.environ.get("PREFECT_API_URL")
    if address is None:
        return Finding(name="Prefect server", verdict="ok", found="embedded", remedy="PREFECT_API_URL names another")
    import httpx

    try:
        httpx.get(f"{address.rstrip('/')}/health", timeout=5).raise_for_status()
    except httpx.HTTPError as error:
        return Finding(
            name="Prefect server",
            verdict="broken",
            found=address,
            remedy=f"{error}: start it with `prefect server start`, or unset PREFECT_API_URL",
        )
    return Finding(name="Prefect server", verdict="ok", found=address)

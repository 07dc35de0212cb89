"""What a workspace consists of: params.yaml, dvc.yaml from the workload's steps, git and DVC; no copy of the code.

A workspace runs the package that is installed. `dvc.yaml` follows from the workload alone, so that one of an earlier
version is known as such.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, StateError
from components.core.files import write_text
from components.core.params import parse_section
from components.core.workloads import Step, Workload
from components.core.workspace import STAGES, Stage
from components.workloads.rails.code import CODE

PIPELINE = "dvc.yaml"
_HEAD = """\
# The one graph of stages. `detent run release` runs the changed ones and records them in dvc.lock;
# `dvc repro` by hand does the same work with the same commands.
stages:
"""
_CODE = f"""\
  {CODE}:
    desc: say what the code of each stage is, by what it imports
    cmd: python -m components.workloads {CODE}
    always_changed: true # it takes a moment, and stages run anew only where it says something else
    outs:
      - data/{CODE}: {{cache: false}}
"""
_CONFIG = {"analytics": False, "autostage": False, "check_update": False}
_HOME = ".detent/\n"
_DATA = """\
# What DVC versions stays out of git; the pointers, the anchor of the ledger and the README go in.
*
!.gitignore
!*.dvc
!*.ledger.json
!README.md
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaidOut:
    """The files that were written, and those that were there and are left as they are."""

    added: tuple[str, ...]
    kept: tuple[str, ...]


def lay_out(root: Path, workload: Workload, *, catalog: str = "main", git: bool = True) -> LaidOut:
    """Make a workspace of the folder `root`, adding what is missing; what is there is left alone.

    Without `git`, or where git is not installed, DVC is set up alone. ConfigError for a folder that holds other
    things, or a workspace of another workload.
    """
    _check_free(root, workload)
    root.mkdir(parents=True, exist_ok=True)
    texts = {
        "params.yaml": starting_params(workload, catalog=catalog),
        PIPELINE: pipeline(workload),
        ".gitignore": _HOME,
        "data/.gitignore": _DATA,
        "data/README.md": _about_data(workload),
    }
    kept = [name for name in texts if (root / name).exists()]
    added = [name for name in texts if name not in kept]
    for name in added:
        (root / name).parent.mkdir(exist_ok=True)
        write_text(root / name, texts[name])
    (kept if (root / ".dvc").is_dir() else added).append(".dvc")
    if ".dvc" in added:
        _set_up_dvc(root, git=git)
    return LaidOut(added=tuple(added), kept=tuple(kept))


def starting_params(workload: Workload, *, catalog: str = "main") -> str:
    """The params.yaml that a workspace starts with: the workload's own words, or every default there is."""
    if workload.starting_params is None:
        return filled_params(workload, {"catalog": catalog})
    text = workload.starting_params.read_text(encoding="utf-8")
    return "".join(_named(line, catalog) for line in text.splitlines(keepends=True))


def _named(line: str, catalog: str) -> str:
    """The line with another catalogue's name, and its comment."""
    if not line.startswith("catalog:"):
        return line
    _, mark, comment = line.rstrip("\n").partition(" #")
    return f"catalog: {catalog}{mark}{comment}\n"


def filled_params(workload: Workload, sections: Mapping[str, Any]) -> str:
    """These sections with the defaults filled in, since DVC wants every parameter that it watches to be there."""
    import yaml

    given = {"workload": workload.name, **sections}
    params = parse_section(workload.params, given, where=f"the parameters of {workload.name}")
    return yaml.safe_dump(params.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def pipeline(workload: Workload) -> str:
    """The text of dvc.yaml for a workload."""
    stages = [stage for stage in STAGES if stage in workload.stages]
    return _HEAD + _CODE + "".join(_stage_text(stage, workload.stages[stage]) for stage in stages)


def check_pipeline(root: Path, workload: Workload) -> None:
    """StateError when a workspace's dvc.yaml is of an earlier version; what a user has added to it is theirs."""
    stale = stale_part(root, workload)
    if stale is not None:
        raise StateError(
            f"{root / PIPELINE} is of an earlier version ({stale}): `detent upgrade` rewrites it, and says what will "
            "run anew"
        )


def stale_part(root: Path, workload: Workload) -> str | None:
    """What this version wants of a workspace's dvc.yaml and does not find there, in words; None where all is there."""
    return next(_lacking(root, workload), None) if (root / PIPELINE).is_file() else None


def command(stage: Stage) -> str:
    """The command that runs a stage by hand."""
    return f"python -m components.workloads {stage}"


def _lacking(root: Path, workload: Workload) -> Iterator[str]:
    import yaml

    found = (yaml.safe_load((root / PIPELINE).read_text(encoding="utf-8")) or {}).get("stages", {})
    for stage, wanted in (yaml.safe_load(pipeline(workload)) or {})["stages"].items():
        here = found.get(stage)
        if here is None:
            yield f"no stage {stage}"
            continue
        if here.get("cmd") != wanted["cmd"]:
            yield f"the command of {stage} is another"
        for part in ("params", "deps", "outs"):
            missing = [name for name in wanted.get(part, []) if name not in here.get(part, [])]
            if missing:
                yield f"{stage} does not know {missing[0]}"
        gone = [name for name in here.get("deps", []) if not name.startswith("data/") and not (root / name).exists()]
        if gone:
            yield f"{stage} reads {gone[0]}, which is not here"


def _stage_text(stage: Stage, step: Step) -> str:
    about = (step.run.__doc__ or stage).strip().splitlines()[0].rstrip(".")
    lines = [f"  {stage}:", f"    desc: {about}", f"    cmd: {command(stage)}"]
    lines.append(f"    params: [{', '.join(('workload', *step.sections))}]")
    lines += ["    deps:", *(f"      - data/{name}" for name in (f"{CODE}/{stage}.json", *step.reads))]
    return "\n".join([*lines, f"    outs: [data/{stage}]"]) + "\n"


def _about_data(workload: Workload) -> str:
    rows = "".join(f"- `{source.name}/`: {source.summary}\n" for source in workload.sources)
    return (
        "# data\n\nWhat DVC versions; nothing but pointers is in git. What you bring lies here as Parquet shards:\n\n"
        f"{rows}\nCommit the pointers (`*.dvc`), `dvc.lock`, and `certify.ledger.json`, the witness of every look at\n"
        "the certify split. `placement/` remembers in which split a photo is.\n"
    )


def _check_free(root: Path, workload: Workload) -> None:
    if root.exists() and not root.is_dir():
        raise ConfigError(f"{root} is a file; name a folder for the workspace")
    if not root.is_dir() or not any(root.iterdir()):
        return
    path = root / "params.yaml"
    if not path.is_file():
        raise ConfigError(f"{root} is not empty and no workspace: name a new folder, or empty this one")
    import yaml

    named = (yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("workload")
    if named != workload.name:
        raise ConfigError(f"{root} is a workspace of workload {named}, not of {workload.name}; name another folder")


def _set_up_dvc(root: Path, *, git: bool) -> None:
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    has_git = git and shutil.which("git") is not None
    inside = has_git and _git(root, "rev-parse", "--is-inside-work-tree")
    if inside and _git(root, "check-ignore", "--quiet", ".dvc"):
        has_git = inside = False  # a workspace that the repository around it ignores has no witness there
    if has_git and not inside:
        _git(root, "init", "--quiet")
    with Repo.init(str(root), no_scm=not has_git, subdir=has_git and inside) as repo, repo.config.edit() as config:
        config["core"].update(_CONFIG)


def _git(root: Path, *arguments: str) -> bool:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, check=False)
    return done.returncode == 0

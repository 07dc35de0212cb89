"""What `detent init` and `detent upgrade` do: make a workspace, and bring one of an earlier version along."""

from __future__ import annotations

import os
from pathlib import Path

from components.core.files import write_text
from components.core.params import read_params
from components.core.workloads import Workload
from components.workloads.registry import find_workload, missing_sections
from flows.answers import Answer
from flows.layout import PIPELINE, lay_out, pipeline, stale_part
from flows.office import Office, prepare

BEFORE = f"{PIPELINE}.before"


def init_workspace(folder: str, *, workload: str, catalog: str = "main", git: bool = True) -> Answer:
    """Make a workspace in a new folder, or add what is missing in one that an earlier `detent init` has begun.

    ConfigError for an unknown workload, for a folder that holds other things, or a workspace of another workload.
    """
    prepare()
    found, root = find_workload(workload), Path(folder)
    made = lay_out(root.resolve(), found, catalog=catalog, git=git)
    return Answer(
        value={"workspace": str(root.resolve()), "workload": workload, "added": made.added, "kept": made.kept},
        lines=[
            f"{os.path.relpath(root)}: a workspace of {workload}, {found.summary}",
            f"added: {', '.join(made.added) or 'nothing, all was there'}",
            *([f"left as it was: {', '.join(made.kept)}"] if made.kept and made.added else []),
        ],
        after=[f"next: cd {os.path.relpath(root)} && detent run {_sources(found)}"],
    )


def upgrade_workspace() -> Answer:
    """Bring the workspace's dvc.yaml and params.yaml in line with this version; what is recorded stays.

    The old dvc.yaml is kept as dvc.yaml.before. The answer tells which stages will run anew.
    """
    office = Office.open()
    with office.lock():
        added = add_missing_sections(office)
        changed = rewrite_pipeline(office)
    would_run = list(office.changes())
    lines = [
        *([f"params.yaml: added {', '.join(added)} with the defaults"] if added else []),
        *([f"{PIPELINE}: written anew, the old one is {BEFORE}"] if changed else []),
    ]
    return Answer(
        value={"params": added, "pipeline": changed, "would_run": would_run},
        lines=lines or ["all is of this version; nothing was changed"],
        after=[f"a run would do: {', '.join(would_run) or 'nothing, all is up to date'}"],
    )


def add_missing_sections(office: Office) -> list[str]:
    """Add to params.yaml the sections that it lacks, empty, so that they have their defaults; returns their names."""
    path = office.workspace.params
    given = read_params(path)
    workload = find_workload(str(given.get("workload", "products")))
    missing = missing_sections(workload.params, given)
    if missing:
        text = path.read_text(encoding="utf-8")
        write_text(path, text.rstrip("\n") + "\n" + "".join(_default(workload, name) for name in missing))
    return missing


def rewrite_pipeline(office: Office) -> bool:
    """Write dvc.yaml anew where it is of an earlier version; tells whether it was."""
    root = office.workspace.root
    path = root / PIPELINE
    if path.is_file():
        if stale_part(root, office.workload) is None:
            return False
        write_text(root / BEFORE, path.read_text(encoding="utf-8"))
    write_text(path, pipeline(office.workload))
    return True


def _default(workload: Workload, name: str) -> str:
    import yaml

    value = workload.params.model_validate({}).model_dump(mode="json")[name]
    return "\n" + yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True)


def _sources(workload: Workload) -> str:
    from flows.sources import option

    return " ".join(option(source) for source in workload.sources if source.required) or option(workload.sources[0])

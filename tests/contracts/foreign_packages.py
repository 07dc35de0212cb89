"""Packages of other people, made visible as an installation would: a folder on the path, entry points beside it."""

from __future__ import annotations

import os
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FOREIGN = Path(__file__).parent / "foreign"


@contextmanager
def installed(*folders: Path, site: Path) -> Iterator[None]:
    """Install the packages whose pyproject.toml lies in these folders, for this process and those that it starts.

    `site` is an empty folder, which gets what an installer writes down of them.
    """
    for folder in folders:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        described = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
        described.mkdir(parents=True)
        (described / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
        )
        lines = [
            f"[{group}]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
            for group, points in project["entry-points"].items()
        ]
        (described / "entry_points.txt").write_text("\n".join(lines))
    added = [str(site), *map(str, folders)]
    kept = os.environ.get("PYTHONPATH")
    modules = set(sys.modules)
    sys.path[:0] = added
    os.environ["PYTHONPATH"] = os.pathsep.join([*added, *([kept] if kept else [])])
    try:
        yield
    finally:
        sys.path[:] = [path for path in sys.path if path not in added]
        for name in set(sys.modules) - modules:
            if any(str(getattr(sys.modules[name], "__file__", "")).startswith(path + os.sep) for path in added):
                del sys.modules[name]
        if kept is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = kept

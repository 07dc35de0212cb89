"""Asks DVC what has to be made again, and records in dvc.lock what was made.

DVC's graph (dvc.yaml) is the only one. A stage runs in this process between two readings of its inputs: an
input that changed meanwhile would otherwise be recorded as if it had been read.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.errors import ConfigError, StateError
from components.core.workspace import STAGES, Stage


class Graph:
    """The stages of one workspace, by way of DVC's Python interface."""

    def __init__(self, root: Path) -> None:
        if not (root / "dvc.yaml").is_file():
            raise ConfigError(
                f"{root} is no Detent workspace: dvc.yaml is missing; name one with --workspace, or make one with "
                "`detent init`"
            )
        self._root = root

    def changes(self, stages: tuple[Stage, ...] = STAGES) -> dict[Stage, list[str]]:
        """The stages that must run, each with the reasons in words; an empty dict when nothing must."""
        with self._repo() as repo:
            status: Mapping[str, list[Any]] = repo.status(targets=list(stages))
        made = self._made_before()
        return {
            stage: _reasons(status[stage]) if stage in made else ["it never ran here"]
            for stage in stages
            if status.get(stage)
        }

    def track(self, folder: Path) -> None:
        """Version a folder of input by DVC: writes `FOLDER.dvc` and fills the cache."""
        with self._repo() as repo:
            repo.add([str(folder.relative_to(self._root))])

    def restore(self, folder: Path) -> None:
        """Bring back a versioned folder that is not there; StateError when DVC's cache does not hold it."""
        name = folder.relative_to(self._root).as_posix()
        try:
            with self._repo() as repo:
                repo.checkout(targets=[name])
        except StateError as error:
            raise StateError(f"{name} is on record and not here: `dvc pull {name}`, then run again ({error})") from None

    def adopt(self, stage: Stage, folder: Path) -> None:
        """Record a changed input as read, where the stage would make the same of it; only if nothing else changed."""
        name = folder.relative_to(self._root).as_posix()
        if self.changes((stage,)).get(stage) == [f"input {name}: modified"]:
            with self._repo() as repo:
                repo.commit(stage, force=True)

    def ran_before(self, stage: Stage) -> bool:
        """Whether dvc.lock has the stage."""
        return stage in self._made_before()

    @contextmanager
    def recording(self, stage: Stage) -> Iterator[None]:
        """Run a stage inside the block; at its end dvc.lock says what it read and what it made.

        StateError when an input changed while the stage ran: then nothing is recorded.
        """
        before = self._inputs(stage)
        yield
        after = self._inputs(stage)
        moved = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        if moved:
            raise StateError(f"{', '.join(moved)} changed while the {stage} stage ran; nothing recorded, run again")
        with self._repo() as repo:
            repo.commit(stage, force=True)

    def _inputs(self, stage: Stage) -> dict[str, str]:
        with self._repo() as repo:
            (found,) = repo.stage.collect(stage)
            found.save_deps()
            return {dep.def_path: f"{dep.hash_info.value}" for dep in found.deps}

    def _made_before(self) -> set[str]:
        import yaml

        path = self._root / "dvc.lock"
        if not path.is_file():
            return set()
        return set((yaml.safe_load(path.read_text(encoding="utf-8")) or {}).get("stages", {}))

    @contextmanager
    def _repo(self) -> Iterator[Any]:
        from dvc.exceptions import DvcException, NotDvcRepoError
        from dvc.lock import LockError
        from dvc.repo import Repo

        logging.getLogger("dvc").setLevel(logging.ERROR)  # its import sets up a handler that writes to standard output
        started_in = Path.cwd()
        try:
            os.chdir(self._root)  # DVC resolves targets against the current folder
            with Repo(str(self._root)) as repo:
                repo.scm_context.quiet = True  # no advice about git on standard error
                yield repo
        except NotDvcRepoError as error:
            raise ConfigError(f"{self._root} is not under DVC; run `dvc init` there (--no-scm without git)") from error
        except LockError as error:
            raise StateError(f"another DVC command is at work in {self._root}; wait, then run again") from error
        except DvcException as error:
            raise StateError(f"DVC refuses: {error}") from error
        finally:
            os.chdir(started_in)


def _reasons(entries: list[Any]) -> list[str]:
    reasons: list[str] = []
    for entry in entries:
        if isinstance(entry, str):
            reasons.append(entry)
            continue
        for kind, items in entry.items():
            reasons += [f"{_plain(kind)} {name}: {what}" for name, what in _flat(items)]
    return reasons


def _flat(items: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, what in items.items():
        if isinstance(what, Mapping):
            yield from what.items()
        else:
            yield name, str(what)


def _plain(kind: str) -> str:
    return {"changed deps": "input", "changed outs": "output"}.get(kind, kind)

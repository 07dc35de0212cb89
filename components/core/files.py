"""Atomic writes: a reader, and a run after kill -9, sees the old content or the new, never half of it.

A temporary sibling is written, flushed to disk and renamed over the target. Running out of disk, or a
read-only target, comes out as one StorageError that names the path; what stood there before is untouched.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from components.core.errors import DataError, StorageError

_STORAGE_ERRNOS = {
    errno.ENOSPC: "the disk is full; free space and run again",
    errno.EDQUOT: "the disk quota is used up; free space and run again",
    errno.EROFS: "the file system is read-only; choose another folder with DETENT_HOME or --workspace",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "operation not permitted; choose a folder that you may write to",
    errno.ENOTDIR: "a parent of this path is a file, not a folder; choose another path",
    errno.EEXIST: "a file stands where a folder is needed; choose another path",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals to write at `path` into StorageError."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        if error.errno in _STORAGE_ERRNOS:
            raise StorageError(f"cannot write {path}: {_STORAGE_ERRNOS[error.errno]}") from error
        raise


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is synced and renamed over `path`."""
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
        try:
            yield partial
            _sync(partial)
            partial.replace(path)
            _sync(path.parent)
        finally:
            partial.unlink(missing_ok=True)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Mapping[str, Any] | list[Any]) -> None:
    """Write JSON atomically, with sorted keys so that equal values give equal bytes; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; DataError names the file where it is none."""
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not valid JSON ({error}); delete it or restore it from its source") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} holds a {type(value).__name__}, expected a JSON object")
    return value


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty temporary folder beside `path`; on success it takes the place of `path`.

    A kill between the two renames leaves no folder at `path`, which every reader takes for "not made yet".
    """
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        token = uuid.uuid4().hex[:8]
        partial = path.with_name(f".{path.name}.{token}.partial")
        partial.mkdir()
        try:
            yield partial
            install_directory(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


def install_directory(made: Path, path: Path) -> None:
    """Put a finished folder at `path`, in place of what stood there; leftovers of killed runs are removed."""
    _sync(made)
    if path.exists():
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        path.rename(old)
    made.rename(path)
    _sync(path.parent)
    for leftover in path.parent.glob(f".{path.name}.*.old"):
        shutil.rmtree(leftover, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

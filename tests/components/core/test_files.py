"""Writes are all or nothing; a disk that refuses is one clear error and what stood there stays."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from components.core.errors import DataError, StorageError
from components.core.files import (
    atomic_directory,
    atomic_path,
    read_json,
    storage_errors,
    write_bytes,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_failed_write_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_text(target, "old")
    with pytest.raises(RuntimeError), atomic_path(target) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert target.read_text() == "old" and names(tmp_path) == ["x"]


def test_json_is_stable_and_a_broken_file_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "a", {"b": 1, "a": "ü"})
    write_json(tmp_path / "b", {"a": "ü", "b": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert read_json(tmp_path / "a") == {"a": "ü", "b": 1}
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a", {"a": float("inf")})
    for content in (b"{", b"\xff\xfe", b"[1]"):
        write_bytes(tmp_path / "bad.json", content)
        with pytest.raises(DataError, match=r"bad\.json"):
            read_json(tmp_path / "bad.json")


@pytest.mark.parametrize(
    ("code", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only"), (errno.EACCES, "permission")]
)
def test_refusals_of_the_disk_are_storage_errors(tmp_path: Path, code: int, words: str) -> None:
    with pytest.raises(StorageError, match=words) as caught, storage_errors(tmp_path / "out"):
        raise OSError(code, "no")
    assert str(tmp_path / "out") in str(caught.value)
    with pytest.raises(OSError) as passed, storage_errors(tmp_path):
        raise OSError(errno.ENOENT, "other errors pass as they are")
    assert not isinstance(passed.value, StorageError)


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_text(tmp_path / "x", "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        write_text(tmp_path / "x", "new")
    assert (tmp_path / "x").read_text() == "old" and names(tmp_path) == ["x"]


def test_a_parent_that_is_a_file_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "")
    with pytest.raises(StorageError, match="parent of this path is a file"):
        write_text(tmp_path / "file" / "child" / "x", "")


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "out"
    for name in ("first", "second"):
        with atomic_directory(target) as partial:
            (partial / name).write_text(name)
    assert names(target) == ["second"]
    with pytest.raises(RuntimeError), atomic_directory(target) as partial:
        (partial / "third").write_text("")
        raise RuntimeError
    assert names(target) == ["second"] and names(tmp_path) == ["out"]


def test_kill_in_the_middle_of_a_write_leaves_the_old_content(tmp_path: Path) -> None:
    target = tmp_path / "x"
    write_text(target, "old")
    code = (
        "import sys, time, pathlib; from components.core.files import atomic_path\n"
        "with atomic_path(pathlib.Path(sys.argv[1])) as p:\n"
        "    p.write_text('half'); print('half', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"half\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert target.read_text() == "old"
    write_text(target, "new")
    assert target.read_text() == "new" and time.time() - target.stat().st_mtime < 60

"""Content digests: how Detent names bytes, files, folders and values.

Every digest is sha256 in lower-case hex. Sample ids are its first 32 digits, all else keeps all 64.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SAMPLE_ID_LENGTH = 32


def digest_bytes(data: bytes) -> str:
    """The sha256 of `data`, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def sample_id(encoded: bytes) -> str:
    """The id of a sample: the first 32 hex digits of the sha256 of its encoded bytes."""
    return digest_bytes(encoded)[:SAMPLE_ID_LENGTH]


def digest_json(value: Mapping[str, Any] | list[Any]) -> str:
    """The digest of a JSON value, independent of key order; NaN is refused with ValueError."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return digest_bytes(text.encode())


def digest_file(path: Path) -> str:
    """The digest of a file's content, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_tree(folder: Path, pattern: str = "*") -> str:
    """The digest of all files below `folder` that match: relative names and contents, no time stamps."""
    files = sorted(p for p in folder.rglob(pattern) if p.is_file() and "__pycache__" not in p.parts)
    return digest_json([[p.relative_to(folder).as_posix(), digest_file(p)] for p in files])

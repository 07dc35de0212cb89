"""Reads under which licence files come: the first line of the nearest LICENCE file above each of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath

_NAMES = re.compile(r"^licen[cs]e(\.txt|\.md)?$", re.IGNORECASE)
_MAX_LENGTH = 200


def is_licence(path: str) -> bool:
    """Whether a file of this name says what the licence is: LICENCE, license.txt, Licence.md."""
    return _NAMES.match(PurePosixPath(path).name) is not None


def find_licences(paths: Iterable[str], read: Callable[[str], bytes]) -> dict[str, str]:
    """What the licence files among `paths` say, by their folder ("." for the root): the first line that has text."""
    licences = {}
    for path in sorted(filter(is_licence, paths)):
        lines = (line.strip().lstrip("#").strip() for line in read(path).decode("utf-8", "replace").splitlines())
        first = next(filter(None, lines), "")
        if first:
            licences[PurePosixPath(path).parent.as_posix()] = first[:_MAX_LENGTH]
    return licences


def licence_of(path: str, licences: dict[str, str]) -> str | None:
    """The licence of the nearest folder above a file; None where none is stated."""
    above = (parent.as_posix() for parent in PurePosixPath(path).parents)
    return next((licences[folder] for folder in above if folder in licences), None)

"""Tells what the code of something is: its modules with all that they import of ours, and a digest over them.

A closure is found by reading source; nothing is imported or run. It follows imports (those inside functions too; not
those under `if TYPE_CHECKING`), strings that name a module ("package.module" or "package.module:attribute", as tables
of plug-ins do), and strings that name a file beside the module, such as a template. The digest is of syntax trees
without docstrings: comments and layout do not count, and neither do the versions of libraries.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

from components.core.digests import digest_bytes, digest_file, digest_json
from components.core.errors import ConfigError, DataError, StorageError
from components.core.files import read_json, write_json

_FORMAT = 1  # raised with every change of what a reading is, so that none kept by an earlier one is taken
_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_][\w.]*)?")
_FILE = re.compile(r"[\w-][\w./-]*\.\w+")
_LONGEST_NAME = 200


def closure(roots: Sequence[str], packages: frozenset[str], *, memory: Path | None = None) -> Mapping[str, Path]:
    """The files of all modules that the root modules reach, by name; only those of these top-level packages.

    A file of data is called "package/file". What was read once in this process stays as it was then, as imported
    modules do. `memory` is a file that keeps what was read for later processes, by the digest of each source.
    ConfigError names a module that is not there or cannot be parsed.
    """
    return _code(roots, packages, memory).files


def code_digest(roots: Sequence[str], packages: frozenset[str], *, memory: Path | None = None) -> str:
    """The digest of a closure: of each module's name and syntax tree, and of each file of data."""
    return _code(roots, packages, memory).digest


@dataclass(frozen=True, slots=True)
class _Code:
    files: Mapping[str, Path]
    digest: str


@dataclass(frozen=True, slots=True)
class _Import:
    """`import module`, or with a name `from module import name`; `level` is its number of leading dots."""

    module: str
    name: str | None
    level: int
    line: int


@dataclass(frozen=True, slots=True)
class _Reading:
    """What a source says: the digest of its tree, its imports, and strings that may name a module or a file."""

    digest: str
    imports: tuple[_Import, ...]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Module:
    """A module that was found; a namespace package has no file, a compiled one is no source."""

    name: str
    file: Path | None
    is_package: bool


_Places = tuple[tuple[str, tuple[Path, ...]], ...]  # by top-level package
_codes: dict[tuple[tuple[str, ...], _Places], _Code] = {}
_found: dict[_Places, dict[str, _Module | None]] = {}
_readings: dict[str, _Reading] = {}  # by the digest of the source
_used: set[str] = set()  # those of sources that lie there now


def _code(roots: Sequence[str], packages: frozenset[str], memory: Path | None) -> _Code:
    places = tuple((package, _places(package)) for package in sorted(packages))
    key = tuple(sorted(set(roots))), places
    if key not in _codes:
        num_known = len(_readings) or _recall(memory)
        walk = _Walk(places=dict(places), known=_found.setdefault(places, {}))
        for root in key[0]:
            walk.add(root, asked_by="the code of a workload")
        walk.follow()
        _codes[key] = _Code(files=dict(sorted(walk.files.items())), digest=digest_json(sorted(walk.digests.items())))
        if len(_readings) > num_known:
            _keep(memory)
    return _codes[key]


def _places(package: str) -> tuple[Path, ...]:
    """The folders of a top-level package, or the one file of a lone module; it is not imported."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        spec = None
    if spec is not None and spec.submodule_search_locations is not None:
        return tuple(Path(place).resolve() for place in spec.submodule_search_locations)
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise ConfigError(f"the package {package} is not among the installed ones, or no folder of files: install it")
    return (Path(spec.origin).resolve(),)


@dataclass(slots=True)
class _Walk:
    """Goes from module to module; `pending` are those that were found and not yet read."""

    places: Mapping[str, tuple[Path, ...]]
    known: dict[str, _Module | None]
    files: dict[str, Path] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    pending: list[_Module] = field(default_factory=list)

    def add(self, name: str, *, asked_by: str) -> None:
        """Take in a module and the packages that it stands in; ConfigError when it is not there."""
        if not self.add_if_there(name):
            where = ", ".join(f"{place}" for place in self.places.get(name.partition(".")[0], ()))
            raise ConfigError(
                f"{asked_by} names the module {name}, which is not there{f', below {where}' if where else ''}: "
                "mend the name, or remove it"
            )

    def add_if_there(self, name: str) -> bool:
        """The same, and whether it is there."""
        module = self.find(name)
        if module is None:
            return False
        if module.file is not None and name not in self.files:
            self.files[name] = module.file
            self.pending.append(module)
        if "." in name:
            self.add_if_there(name.rpartition(".")[0])
        return True

    def follow(self) -> None:
        """Read what was taken in, and take in what that names, until nothing is left."""
        while self.pending:
            module = self.pending.pop()
            assert module.file is not None
            if module.file.suffix != ".py":
                self.digests[module.name] = digest_file(module.file)
                continue
            reading = _read(module.file)
            self.digests[module.name] = reading.digest
            for one in reading.imports:
                self._take_import(module, one)
            for name in reading.names:
                self._take_name(module, name)

    def find(self, name: str) -> _Module | None:
        """The module of this name, or None where it is not, or not of our packages."""
        if name not in self.known:
            self.known[name] = next(self._candidates(name), None)
        return self.known[name]

    def _candidates(self, name: str) -> Iterator[_Module]:
        """Where a module may lie, in the order in which Python looks."""
        top, *rest = name.split(".")
        folders = []
        for place in self.places.get(top, ()):
            if place.is_file():
                if not rest:
                    yield _Module(name, place, is_package=False)
                continue
            folder = place.joinpath(*rest)
            if (folder / "__init__.py").is_file():
                yield _Module(name, folder / "__init__.py", is_package=True)
            for suffix in (*EXTENSION_SUFFIXES, ".py") if rest else ():
                file = folder.with_name(folder.name + suffix)
                if file.is_file():
                    yield _Module(name, file, is_package=False)
            folders.append(folder)
        if any(folder.is_dir() for folder in folders):
            yield _Module(name, None, is_package=True)

    def _take_import(self, module: _Module, one: _Import) -> None:
        base, where = one.module, f"{module.file} line {one.line}"
        if one.level:
            parts = module.name.split(".")
            num_kept = len(parts) - one.level + (1 if module.is_package else 0)
            if num_kept < 1:
                raise ConfigError(f"{where} imports from above the package {parts[0]}: take away a leading dot")
            base = ".".join([*parts[:num_kept], *([base] if base else [])])
        if base.partition(".")[0] not in self.places:
            return
        self.add(base, asked_by=where)
        if one.name is not None and one.name != "*":
            self.add_if_there(f"{base}.{one.name}")

    def _take_name(self, module: _Module, name: str) -> None:
        named = name.partition(":")[0]
        if named.partition(".")[0] in self.places and self.add_if_there(named):
            self.add_if_there(f"{named}.__main__")  # as `python -m` is told
            return
        assert module.file is not None
        file = module.file.parent / name
        if _FILE.fullmatch(name) and ".." not in file.parts and file.is_file():
            package = module.name if module.is_package else module.name.rpartition(".")[0]
            self.files[f"{package}/{name}"] = file
            self.digests[f"{package}/{name}"] = digest_file(file)


@cache
def _read(file: Path) -> _Reading:
    source = file.read_bytes()
    key = digest_bytes(source)
    _used.add(key)
    if key not in _readings:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what a compiler would say of this source is no news here
                tree = ast.parse(source)
        except (SyntaxError, ValueError) as error:
            line = getattr(error, "lineno", None)
            raise ConfigError(f"{file}{f' line {line}' if line else ''} cannot be parsed ({error}): mend it") from error
        _readings[key] = _Reader().read(tree)
    return _readings[key]


class _Reader:
    """Goes once through a syntax tree. What is told of it leaves out empty fields, which differ between Pythons."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._imports: list[_Import] = []
        self._names: set[str] = set()

    def read(self, tree: ast.Module) -> _Reading:
        """What a module says."""
        self._visit(tree)
        digest = digest_bytes("\n".join(self._told).encode("utf-8", "surrogatepass"))
        return _Reading(digest=digest, imports=tuple(self._imports), names=tuple(sorted(self._names)))

    def _visit(self, node: ast.AST) -> None:
        if isinstance(node, ast.Import):
            self._imports += [_Import(alias.name, None, 0, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            self._imports += [_Import(node.module or "", alias.name, node.level, node.lineno) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            self._take_text(node.value)
        self._told.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or value == [] or name == "ctx":
                continue
            self._told.append(name)
            for item in value if isinstance(value, list) else (value,):
                self._take(item)
        self._told.append(")")

    def _take(self, item: object) -> None:
        if not isinstance(item, ast.AST):
            self._told.append(repr(item))
        elif isinstance(item, ast.If) and _is_for_type_checkers(item.test):
            for statement in item.orelse:
                self._take(statement)
        elif not _is_docstring(item):
            self._visit(item)

    def _take_text(self, text: str) -> None:
        if len(text) <= _LONGEST_NAME and (_MODULE.fullmatch(text) or _FILE.fullmatch(text)):
            self._names.add(text)


def _is_docstring(node: ast.AST) -> bool:
    """A statement that is nothing but a string, wherever it stands, does nothing."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _is_for_type_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else test.id if isinstance(test, ast.Name) else ""
    return name == "TYPE_CHECKING"


def _recall(memory: Path | None) -> int:
    """Take what an earlier process read, if it can be used; returns how many sources that are."""
    try:
        kept = read_json(memory) if memory is not None and memory.is_file() else {}
        if kept.get("format") == _FORMAT:
            for key, (digest, imports, names) in kept["sources"].items():
                _readings[key] = _Reading(digest, tuple(_Import(*one) for one in imports), tuple(names))
    except (DataError, OSError, KeyError, TypeError, ValueError):
        _readings.clear()  # it is a memory of what can be read again
    return len(_readings)


def _keep(memory: Path | None) -> None:
    if memory is None:
        return
    sources = {
        key: [one.digest, [[i.module, i.name, i.level, i.line] for i in one.imports], list(one.names)]
        for key, one in _readings.items()
        if key in _used
    }
    try:
        write_json(memory, {"format": _FORMAT, "sources": sources})
    except StorageError:  # only the next process's time is lost
        return

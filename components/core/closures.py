"""Which modules a piece of code is made of: itself and all that it imports of the named packages, at any depth."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from components.core.errors import ConfigError


def closure(roots: Iterable[str], packages: Sequence[str]) -> dict[str, Path]:
    """By name the file of each module that `roots` import, roots and packages around them included, in order of name.

    Imports inside functions count, those for type checkers alone do not. Only modules of `packages` (top-level names)
    are followed. ConfigError names a root that is no module of theirs.
    """
    found: dict[str, Path] = {}
    waiting = list(roots)
    for root in waiting:
        if root.partition(".")[0] not in packages or _file_of(root) is None:
            raise ConfigError(f"there is no module {root!r} in {', '.join(packages)}: name one as package.module")
    while waiting:
        name = waiting.pop()
        if name in found or name.partition(".")[0] not in packages:
            continue
        path = _file_of(name)
        if path is None:
            continue
        if path.is_file():
            found[name] = path
            waiting += _imports(path, package=name if path.name == "__init__.py" else name.rpartition(".")[0])
        waiting += [name.rpartition(".")[0]] if "." in name else []
    return dict(sorted(found.items()))


def _file_of(name: str) -> Path | None:
    """The file of a module, the folder of a package without one, None where there is no such module."""
    top, *rest = name.split(".")
    spec = find_spec(top)
    if spec is None:
        return None
    if spec.submodule_search_locations is None:
        return Path(spec.origin) if spec.origin is not None and not rest else None
    for folder in spec.submodule_search_locations:
        path = Path(folder).joinpath(*rest)
        for found in (path / "__init__.py", path.with_suffix(".py"), path):
            if found.is_file() or (found is path and path.is_dir()):
                return found
    return None


def _imports(path: Path, *, package: str) -> Iterator[str]:
    for node in _running(ast.parse(path.read_bytes(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below this one but those that only a type checker reads."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from _running(child)

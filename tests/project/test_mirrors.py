"""Every module has a test file at its own place, or says in one line where it is tested, and that file reaches it."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.project.circles import imports_of
from tests.project.mirrors import MIRRORS
from tests.project.sources import ROOT, paths, trees

MODULES = {name: path for name, path in paths().items() if path.name != "__init__.py"}


def mirror(path: Path) -> Path:
    """Where the tests of a module stand."""
    return ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}")


def helpers_of(file: Path) -> set[Path]:
    """A test file, the helpers that it imports, and the conftests above it."""
    todo = {file, *(folder / "conftest.py" for folder in file.parents if folder.is_relative_to(ROOT / "tests"))}
    found: set[Path] = set()
    while todo:
        here = todo.pop()
        if not here.is_file() or here in found:
            continue
        found.add(here)
        for node in ast.walk(parsed(here)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
                todo.add(ROOT / f"{(node.module or '').replace('.', '/')}.py")
    return found


@cache
def parsed(file: Path) -> ast.Module:
    """The syntax tree of a test file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def spelled_in(tree: ast.Module) -> set[str]:
    """The product's modules whose names stand in strings: services, scripts of child processes."""
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    spelled = {name for text in strings for name in re.findall(r"(?:components|flows)(?:\.\w+)+", text)}
    return {name for name in spelled if name in paths()}


@cache
def leads_to(module: str) -> frozenset[str]:
    """What one module of the product imports or names in a string."""
    return frozenset(imports_of(module, trees()[module]) | spelled_in(trees()[module]))


@cache
def reached_from(file: Path) -> frozenset[str]:
    """What a test file names and all that this leads to in turn."""
    trees_here = [parsed(helper) for helper in helpers_of(file)]
    todo = {module for tree in trees_here for module in imports_of("tests", tree) | spelled_in(tree)}
    reached: set[str] = set()
    while todo:
        module = todo.pop()
        reached.add(module)
        todo |= leads_to(module) - reached
    return frozenset(reached)


@pytest.mark.parametrize("module", sorted(MODULES))
def test_every_module_is_tested_in_its_place_or_says_where(module: str) -> None:
    if mirror(MODULES[module]).is_file():
        assert module not in MIRRORS, f"{module} has a test file of its own: take it off tests/project/mirrors.py"
        return
    where = mirror(MODULES[module]).relative_to(ROOT)
    assert module in MIRRORS, f"write {where}, or say in tests/project/mirrors.py which file tests {module}"
    said = MIRRORS[module]
    if said.startswith("tests/"):
        assert (ROOT / said).is_file(), f"{said}, which is to test {module}, is no file"
        assert module in reached_from(ROOT / said), f"{said} imports nothing that leads to {module}"
    else:
        assert len(said.split()) > 4, f"say in a sentence why {module} has no test"


def test_the_table_names_no_module_that_is_gone() -> None:
    gone = sorted(MIRRORS.keys() - MODULES.keys())
    assert not gone, f"{gone} are no modules: take them off tests/project/mirrors.py"

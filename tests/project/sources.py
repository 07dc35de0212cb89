"""Product code as text and trees: what the tests of the house read, parsed once."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def module_of(path: Path) -> str:
    """The dotted name by which a file of the product is imported."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def paths() -> dict[str, Path]:
    """Every module of flows and components by its dotted name."""
    found = sorted([*(ROOT / "flows").rglob("*.py"), *(ROOT / "components").rglob("*.py")])
    return {module_of(path): path for path in found}


@cache
def trees() -> dict[str, ast.Module]:
    """The syntax tree of every module by its dotted name."""
    return {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in paths().items()}


def imported(module: str, node: ast.ImportFrom) -> str:
    """The dotted name that `from X import ...` in a module stands for, dots in front resolved."""
    if not node.level:
        return node.module or ""
    package = module if paths()[module].name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package

"""What each module of the product imports of the product, imports inside functions included, and in which circles."""

import ast

from tests.project.sources import imported, paths, trees


def _for_types_only(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imports_of(module: str, node: ast.AST) -> set[str]:
    """The product's modules that a piece of code imports, whenever it runs."""
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names} & paths().keys()
    if isinstance(node, ast.ImportFrom):
        base = imported(module, node)
        named = {f"{base}.{alias.name}" for alias in node.names}
        return {name if name in paths() else base for name in named} & paths().keys()
    parts = node.orelse if isinstance(node, ast.If) and _for_types_only(node) else ast.iter_child_nodes(node)
    return set().union(*(imports_of(module, part) for part in parts))


def graph() -> dict[str, set[str]]:
    """What each module of the product imports of the product."""
    return {module: imports_of(module, tree) - {module} for module, tree in trees().items()}


def circles(edges: dict[str, set[str]]) -> set[tuple[str, ...]]:
    """Every set of two or more modules that all reach each other, sorted within (Tarjan 1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    open_: list[str] = []
    found: set[tuple[str, ...]] = set()

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        open_.append(module)
        for target in sorted(edges[module]):
            if target not in order:
                visit(target)
            if target in open_:
                low[module] = min(low[module], low[target])
        if low[module] == order[module]:
            start = open_.index(module)
            if len(open_) - start > 1:
                found.add(tuple(sorted(open_[start:])))
            del open_[start:]

    for module in sorted(edges):
        if module not in order:
            visit(module)
    return found

"""Which public names of the product nothing in the product uses: reachability over top-level definitions."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.project.sources import imported, paths, trees

Name = tuple[str, str]  # a module and a name at its top

# decorators that leave a function to its callers; any other one hands it to a registry, which then uses it
PLAIN_DECORATORS = {
    "dataclass", "cache", "lru_cache", "contextmanager", "cached_property", "property", "staticmethod", "classmethod",
    "overload", "final", "runtime_checkable", "total_ordering", "wraps", "no_type_check", "jit",
}  # fmt: skip


@dataclass
class Module:
    """What a module defines at its top and what each of these definitions refers to."""

    bound: dict[str, str | Name] = field(default_factory=dict)  # imported: a module, or a name in one
    uses: dict[str, set[Name]] = field(default_factory=dict)  # by definition; "" is what runs on import
    fixed: set[str] = field(default_factory=set)  # definitions that a decorator registers


def _targets(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    aims = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for aim in aims for part in ast.walk(aim) if isinstance(part, ast.Name)]


def _registers(node: ast.stmt) -> bool:
    for decorator in getattr(node, "decorator_list", []):
        call = decorator.func if isinstance(decorator, ast.Call) else decorator
        if _dotted(call).rpartition(".")[2] not in PLAIN_DECORATORS:
            return True
    return False


def _dotted(node: ast.AST) -> str:
    """The text of a name with dots, "" for any other expression."""
    if isinstance(node, ast.Attribute):
        front = _dotted(node.value)
        return f"{front}.{node.attr}" if front else ""
    return node.id if isinstance(node, ast.Name) else ""


def _bind(module: str, node: ast.AST, bound: dict[str, str | Name]) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname and alias.name in paths():
                bound[alias.asname] = alias.name
    elif isinstance(node, ast.ImportFrom):
        base = imported(module, node)
        for alias in node.names:
            whole = f"{base}.{alias.name}"
            bound[alias.asname or alias.name] = whole if whole in paths() else (base, alias.name)


def _mentions(module: str, node: ast.AST, bound: dict[str, str | Name]) -> Iterator[Name]:
    """Every (module, name) that a piece of code refers to, its own module's names included."""
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            target = bound.get(part.id, (module, part.id))
            if isinstance(target, tuple) and isinstance(part.ctx, ast.Load):
                yield target
        elif isinstance(part, ast.Attribute):
            whole = _dotted(part.value)
            target = bound.get(whole, whole)
            if isinstance(target, str) and target in paths():
                yield target, part.attr
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield from re.findall(r"((?:components|flows)(?:\.\w+)+)[:.](\w+)", part.value)


def read() -> dict[str, Module]:
    """Every module of the product with its definitions and their references."""
    modules = {}
    for name, tree in trees().items():
        module = modules[name] = Module()
        for node in ast.walk(tree):
            _bind(name, node, module.bound)
        for node in tree.body:
            targets = _targets(node)
            for target in targets or [""]:
                module.uses.setdefault(target, set()).update(_mentions(name, node, module.bound))
                if _registers(node):
                    module.fixed.add(target)
    return modules


def used(modules: dict[str, Module], entries: set[Name]) -> set[Name]:
    """The definitions that the entries, registered functions and code at the modules' tops come to use."""
    todo = set(entries)
    for name, module in modules.items():
        todo |= module.uses.get("", set()) | {(name, definition) for definition in module.fixed}
    reached: set[Name] = set()
    while todo:
        here, name = todo.pop()
        if (here, name) in reached or here not in modules:
            continue
        reached.add((here, name))
        module = modules[here]
        if name not in module.uses and name in module.bound:  # a name handed on from where it is defined
            target = module.bound[name]
            todo |= {target} if isinstance(target, tuple) else set()
        todo |= module.uses.get(name, set()) - reached
    return reached


def unused(entries: set[Name]) -> list[str]:
    """Public definitions, as `module:name`, that nothing in the product comes to use."""
    modules = read()
    reached = used(modules, entries)
    return sorted(
        f"{name}:{definition}"
        for name, module in modules.items()
        for definition in module.uses
        if definition and not definition.startswith("_") and (name, definition) not in reached
    )


def silent_members() -> list[str]:
    """Public methods and properties, as `module:Class.member`, whose name no product code and no template reads."""
    read_names: set[str] = set()
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                read_names.add(node.attr)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                read_names.update(re.findall(r"\w+", node.value) if len(node.value) < 60 else [])
    for template in {path.parent for path in paths().values()}:
        for page in template.glob("*.j2"):
            read_names.update(re.findall(r"\w+", page.read_text(encoding="utf-8")))
    silent = []
    for name, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ClassDef):
                continue
            for member in node.body:
                if not isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) or member.name.startswith("_"):
                    continue
                if member.name not in read_names and not _registers(member):
                    silent.append(f"{name}:{node.name}.{member.name}")
    return sorted(silent)

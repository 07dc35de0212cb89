"""What import-linter cannot say: core stays light at the top of its modules, and no workload leans on another."""

import ast
import sys
from collections.abc import Iterator

import pytest

from tests.project import circles, sources
from tests.project.circles import imports_of
from tests.project.sources import imported, trees

LIGHT = {"numpy", "pyarrow", "pydantic", "pydantic_settings", "yaml", *sys.stdlib_module_names}
WORKLOADS = "components.workloads."


def top_imports(module: str, tree: ast.Module) -> Iterator[str]:
    """What a module imports when it is imported, type checking aside; inside a `try` or an `if` counts."""
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield imported(module, node)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
        elif isinstance(node, ast.If | ast.Try | ast.With):
            todo += [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.stmt)]


def heavy(module: str) -> list[str]:
    """What a module of core imports at its top beside core and the light packages."""
    names = top_imports(module, trees()[module])
    return sorted(name for name in names if name.split(".")[0] not in LIGHT and not name.startswith("components.core"))


def test_core_imports_nothing_heavy_at_the_top_of_a_module() -> None:
    found = {module: heavy(module) for module in trees() if module.startswith("components.core")}
    assert not {module: names for module, names in found.items() if names}, f"move it into the function: {found}"


def workload_packages() -> set[str]:
    """The packages that hold a workload, which is their module `workload`; the others are kits."""
    return {
        module.rpartition(".")[0] for module in trees() if module.startswith(WORKLOADS) and module.endswith(".workload")
    }


def leanings() -> list[str]:
    """Each import of one workload's package from another package below workloads."""
    packages = workload_packages()
    found = []
    for module, tree in trees().items():
        package = module.rpartition(".")[0]
        if not package.startswith(WORKLOADS):
            continue  # the registry itself names every workload
        for target in imports_of(module, tree):
            others = {other for other in packages if f"{target}.".startswith(f"{other}.")}
            if others and not any(f"{module}.".startswith(f"{other}.") for other in others):
                found.append(f"{module} -> {target}")
    return sorted(found)


def test_no_workload_leans_on_another_kits_aside() -> None:
    assert workload_packages(), "no workload is found, so nothing was looked at"
    assert not leanings(), "what two workloads need belongs to a kit"


PLANTED = {
    "components.core.light": "import json\nfrom pyarrow import parquet\ndef late() -> None:\n    import torch\n",
    "components.core.heavy": "try:\n    import torch.nn\nfinally:\n    pass\nif TYPE_CHECKING:\n    import dvc\n",
    "components.workloads.registry": "from components.workloads.shop.workload import WORKLOAD\n",
    "components.workloads.kit.judge": "def late() -> None:\n    from components.workloads.shop import workload\n",
    "components.workloads.shop.workload": "from components.workloads.kit import judge\n",
    "components.workloads.bank.workload": "from components.workloads.shop import workload\n",
}


def test_planted_faults_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {name: sources.ROOT / f"{name.replace('.', '/')}.py" for name in PLANTED}
    parsed = {name: ast.parse(text) for name, text in PLANTED.items()}
    monkeypatch.setitem(globals(), "trees", lambda: parsed)
    monkeypatch.setattr(circles, "paths", lambda: where)
    assert heavy("components.core.light") == [] and heavy("components.core.heavy") == ["torch.nn"]
    assert leanings() == [
        "components.workloads.bank.workload -> components.workloads.shop.workload",
        "components.workloads.kit.judge -> components.workloads.shop.workload",
    ]

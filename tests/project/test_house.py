"""The house stays as it was drawn: nothing new at the top, every package explains itself, no file too long."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOP = {
    "pyproject.toml", "README.md", "flows", "components", "data", "dvc.yaml", "dvc.lock", "bentofile.yaml", "tests",
    "infra", "Makefile", "params.yaml", "requirements.lock",
}  # fmt: skip
PACKAGES = [ROOT / "flows", *sorted(path.parent for path in (ROOT / "components").glob("*/__init__.py"))]
MODULES = sorted([*(ROOT / "flows").rglob("*.py"), *(ROOT / "components").rglob("*.py")])
MAX_LINES, MAX_FUNCTION_LINES, MAX_README_LINES = 400, 60, 150


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    return listed.stdout.split()


def test_nothing_new_at_the_top() -> None:
    strange = {name.split("/")[0] for name in tracked()} - TOP
    assert not {name for name in strange if not name.startswith(".")}


def test_tests_are_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py")), "an __init__.py below tests/ shadows the product's packages"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_every_package_explains_each_of_its_modules(package: Path) -> None:
    modules = sorted(path for path in package.rglob("*.py") if path.name != "__init__.py")
    if not modules:
        return
    readme = (package / "README.md").read_text(encoding="utf-8")
    missing = [
        path.relative_to(package).as_posix()
        for path in modules
        if f"`{path.name}`" not in readme and f"`{path.parent.name}/" not in readme
    ]
    assert not missing, f"{package.name}/README.md does not explain {missing}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_modules_open_with_a_docstring_and_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "a module opens with a sentence on what it decides or makes"
    assert text.count("\n") <= MAX_LINES
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno <= MAX_FUNCTION_LINES, node.name


def test_readme_is_short() -> None:
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= MAX_README_LINES


def test_dvc_depends_on_the_code_of_each_stage() -> None:
    import yaml

    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    code = stages.pop("code")
    assert code["always_changed"] and code["outs"] == [{"data/code": {"cache": False}}]
    for name, stage in {"code": code, **stages}.items():
        assert stage["cmd"] == f"python -m components.workloads {name}"
    for name, stage in stages.items():
        assert f"data/code/{name}.json" in stage["deps"], f"{name} does not depend on its own code"
        assert all(path.startswith("data/") for path in stage["deps"]), "folders of code hold too much and too little"
    sealed = {"data/validation", "data/validation/photos", "data/validation/samples"}
    seen = stages["training"]["deps"]
    assert not sealed & {*seen} and not any("certify" in dep for dep in seen), "training must not see certify"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of DVC's own dependencies
def test_a_fresh_clone_gets_its_data_back_from_dvc(tmp_path: Path) -> None:
    """A `/data/*` in the root's .gitignore makes DVC pass over data/ and its pointers; a .gitignore in it does not."""
    from dvc.repo import Repo

    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    (tmp_path / "data" / "catalog").mkdir(parents=True)
    for name in (".gitignore", "data/.gitignore"):
        (tmp_path / name).write_text((ROOT / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "data" / "catalog" / "shard").write_text("rows")
    with Repo.init(str(tmp_path)) as repo:
        repo.add([str(tmp_path / "data" / "catalog")])
    shutil.rmtree(tmp_path / "data" / "catalog")
    with Repo(str(tmp_path)) as repo:
        repo.checkout()
    assert (tmp_path / "data" / "catalog" / "shard").read_text() == "rows"
    subprocess.run(["git", "-C", str(tmp_path), "add", "--all"], check=True)
    listed = subprocess.run(["git", "-C", str(tmp_path), "ls-files"], capture_output=True, text=True, check=True)
    assert "data/catalog.dvc" in listed.stdout and "data/catalog/shard" not in listed.stdout

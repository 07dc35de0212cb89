"""infra/README.md tells of every environment variable that the product reads, and of no other."""

import ast
import re
from collections.abc import Iterator

from components.core.settings import STEADY, Settings
from tests.project.sources import ROOT, trees

TABLE = ROOT / "infra" / "README.md"
READING = re.compile(r"(environ\w*\.(get|setdefault)|getenv)$")
DEPENDENCIES = {
    "PREFECT_API_DATABASE_CONNECTION_URL": "prefect server start",
    "AWS_ENDPOINT_URL": "s3fs and DVC",
    "AWS_ACCESS_KEY_ID": "s3fs and DVC",
    "AWS_SECRET_ACCESS_KEY": "s3fs and DVC",
    "AWS_DEFAULT_REGION": "s3fs and DVC",
}


def told() -> set[str]:
    """The variables in the first column of the table."""
    rows = re.findall(r"^\| (`[A-Z_`, ]+`) \|", TABLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name for row in rows for name in re.findall(r"[A-Z][A-Z_]+", row)}


def keys(tree: ast.Module) -> Iterator[ast.expr]:
    """What names a variable: in `environ[...]`, `environ.get(...)`, `environ.setdefault(...)`, `envvar=...`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            yield node.slice
        elif isinstance(node, ast.Call) and READING.search(ast.unparse(node.func)):
            yield node.args[0]
        elif isinstance(node, ast.keyword) and node.arg == "envvar":
            yield node.value


def constants() -> dict[str, str]:
    """Texts that modules give a name to, by that name."""
    return {
        target.id: node.value.value
        for tree in trees().values()
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def read() -> set[str]:
    """Every variable that the product reads or sets by name: settings, direct reads, defaults for dependencies."""
    prefix, named = Settings.model_config["env_prefix"], constants()
    found = {f"{prefix}{field}".upper() for field in Settings.model_fields} | set(STEADY)
    for tree in trees().values():
        for key in keys(tree):
            if isinstance(key, ast.Constant):
                found.add(key.value)
            elif isinstance(key, ast.Name) and key.id in named:
                found.add(named[key.id])
    return found - {"GX_ANALYTICS_ENABLED"}  # telemetry, off whatever it says


def test_every_variable_that_is_read_is_told_of() -> None:
    missing = sorted(read() - told())
    assert not missing, f"the table in infra/README.md lacks {missing}"


def test_the_table_tells_of_no_variable_that_nothing_reads() -> None:
    stale = sorted(told() - read() - DEPENDENCIES.keys())
    assert not stale, f"nothing reads {stale}: take them out of the table in infra/README.md"


def test_every_variable_named_in_messages_and_docstrings_exists() -> None:
    texts = [
        node.value
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {name for text in texts for name in re.findall(r"\bDETENT_[A-Z]+(?:_[A-Z]+)*", text)}
    assert named <= told(), f"nobody reads {sorted(named - told())}"

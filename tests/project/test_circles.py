"""No module of the product imports itself by way of others, imports inside functions included."""

import ast

import pytest

from tests.project import circles, sources


def test_no_module_imports_itself_by_way_of_others() -> None:
    found = circles.circles(circles.graph())
    assert not found, "import circles: " + "; ".join(" <-> ".join(circle) for circle in sorted(found))


PLANTED = {
    "components.a": "from components import b\n",
    "components.b": "def late() -> None:\n    from components.c import thing\n",
    "components.c": "import components.a\nif TYPE_CHECKING:\n    from components.d import Thing\n",
    "components.d": "from components.c import thing\n",
}


def test_a_circle_closed_inside_a_function_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    where = {name: sources.ROOT / f"{name.replace('.', '/')}.py" for name in PLANTED}
    parsed = {name: ast.parse(text) for name, text in PLANTED.items()}
    for name, value in (("paths", lambda: where), ("trees", lambda: parsed)):
        monkeypatch.setattr(sources, name, value)
        monkeypatch.setattr(circles, name, value)
    assert circles.circles(circles.graph()) == {("components.a", "components.b", "components.c")}

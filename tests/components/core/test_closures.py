"""What counts as the code of something, told by reading it: each rule on a small package that is made here."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from components.core import closures
from components.core.closures import closure, code_digest
from components.core.errors import ConfigError

SHOP = {
    "__init__.py": '"""A shop."""',
    "stage.py": """
        '''Runs.'''
        from __future__ import annotations
        from typing import TYPE_CHECKING
        import json
        from . import shelf
        from .parts import bolt, TALLY
        if TYPE_CHECKING:
            from shop import typed
        TEMPLATE, PLUG, TOLD = "page.html.j2", "shop.plugs.first:run", "see shop.parts.nut for more"

        def run(x: typed.Thing) -> int:
            '''Run it.'''
            from shop.lazy import later
            return later(x)  # later, not now
        """,
    "shelf.py": "import shop.deep.down\n",
    "lazy.py": "def later(x): return x + 1\n",
    "typed.py": "class Thing: ...\n",
    "unused.py": "import shop.nowhere\n",
    "page.html.j2": "<p>{{ it }}</p>\n",
    "other.html.j2": "<p>{{ it }}</p>\n",
    "README.md": "# shop\n",
    "parts/__init__.py": "TALLY = 3\n",
    "parts/bolt.py": "",
    "parts/nut.py": "",
    "plugs/__init__.py": "",
    "plugs/first.py": "def run(): ...\n",
    "plugs/__main__.py": "",
    "deep/down.py": "",  # deep/ is a package without an __init__
}
Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Lays out the shop in a folder of its own, with some files changed, at the head of sys.path."""

    def lay_out(changes: Mapping[str, str] | None = None, **more: str) -> Path:
        folder = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        for name, text in {**SHOP, **(changes or {}), **more}.items():
            path = folder / "shop" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(dedent(text))
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return lay_out


def digest() -> str:
    return code_digest(["shop.stage"], frozenset({"shop"}))


def changed(name: str, old: str, new: str) -> dict[str, str]:
    assert old in SHOP[name]
    return {name: SHOP[name].replace(old, new)}


def test_the_closure_is_what_a_module_reaches_and_nothing_is_imported(make: Make) -> None:
    make()
    found = closure(["shop.stage"], frozenset({"shop"}))
    assert set(found) == {
        "shop", "shop.stage", "shop.shelf", "shop.lazy", "shop.parts", "shop.parts.bolt", "shop.plugs",
        "shop.plugs.first", "shop.deep.down", "shop/page.html.j2",
    }  # fmt: skip
    assert found["shop.parts"].name == "__init__.py" and all(path.is_file() for path in found.values())
    assert not [name for name in sys.modules if name.partition(".")[0] == "shop"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lazy.py", "+ 1", "+ 2"),
        ("page.html.j2", "<p>", "<p >"),
        ("parts/__init__.py", "3", "4"),
        ("stage.py", "import json", "import gzip"),
        ("plugs/first.py", "...", "pass"),
    ],
)
def test_a_changed_line_of_what_is_reached_changes_the_digest(make: Make, name: str, old: str, new: str) -> None:
    make()
    before = digest()
    make(changed(name, old, new))
    assert digest() != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("stage.py", "# later, not now", "# at once"),
        ("stage.py", "'''Runs.'''", "'''Runs, as a rule.'''"),
        ("stage.py", "'''Run it.'''", ""),
        ("stage.py", "from shop import typed", "from shop import unused"),
        ("typed.py", "...", "pass"),
        ("unused.py", "nowhere", "elsewhere"),
        ("other.html.j2", "<p>", "<p >"),
        ("README.md", "# shop", "# a shop"),
        ("parts/nut.py", "", "x = 1"),
    ],
)
def test_words_and_what_is_not_reached_do_not_count(make: Make, name: str, old: str, new: str) -> None:
    make()
    before = digest()
    make(changed(name, old, new))
    assert digest() == before


def test_where_the_code_lies_does_not_count_but_which_module_it_is_does(make: Make) -> None:
    make()
    before = digest()
    make()
    assert digest() == before
    make(changed("stage.py", "shop.lazy", "shop.lately") | {"lately.py": SHOP["lazy.py"]})
    assert digest() != before


def test_other_packages_are_not_followed_unless_they_are_named(make: Make, tmp_path: Path) -> None:
    folder = make({"lazy.py": "import stock\nfrom torch import nn\n"})
    (folder / "stock.py").write_text("AMOUNT = 1\n")
    assert "stock" not in closure(["shop.stage"], frozenset({"shop"}))
    assert closure(["shop.stage"], frozenset({"shop", "stock"}))["stock"] == folder / "stock.py"


def test_python_m_reaches_the_main_module_of_a_package(make: Make) -> None:
    make({"lazy.py": "COMMAND = ['python', '-m', 'shop.plugs']\n"})
    assert "shop.plugs.__main__" in closure(["shop.stage"], frozenset({"shop"}))


def test_a_compiled_module_counts_by_its_bytes(make: Make) -> None:
    from importlib.machinery import EXTENSION_SUFFIXES

    name = f"fast{EXTENSION_SUFFIXES[-1]}"
    make({"lazy.py": "from shop.fast import later\n"}, **{name: "one"})
    before = digest()
    make({"lazy.py": "from shop.fast import later\n"}, **{name: "two"})
    assert digest() != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import shop.nowhere\n", r"lazy\.py line 1 names the module shop\.nowhere, which is not there, below"),
        ("\nfrom ..shop import x\n", r"lazy\.py line 2 imports from above the package shop"),
        ("def later(:\n", r"lazy\.py line 1 cannot be parsed"),
        ("x = '\0'\n", r"lazy\.py cannot be parsed"),
    ],
)
def test_what_cannot_be_followed_is_named(make: Make, text: str, said: str) -> None:
    make({"lazy.py": text})
    with pytest.raises(ConfigError, match=said):
        digest()


def test_a_root_that_is_not_there_is_named(make: Make) -> None:
    make()
    with pytest.raises(ConfigError, match=r"the code of a workload names the module shop\.staeg, which is not there"):
        closure(["shop.staeg"], frozenset({"shop"}))
    with pytest.raises(ConfigError, match="the package of_nobody is not among the installed ones"):
        closure(["of_nobody.stage"], frozenset({"of_nobody"}))


def test_a_memory_spares_reading_and_a_damaged_one_does_no_harm(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory.json"

    def ask_anew() -> str:
        for known in (closures._codes, closures._found, closures._readings, closures._used):
            known.clear()
        closures._read.cache_clear()
        return code_digest(["shop.stage"], frozenset({"shop"}), memory=memory)

    make()
    first = ask_anew()
    with monkeypatch.context() as patch:
        patch.setattr(closures.ast, "parse", lambda *_: pytest.fail("it was read before"))
        assert ask_anew() == first
    make(changed("lazy.py", "+ 1", "+ 2"))
    second = ask_anew()
    assert second != first, "a memory goes by what a source holds, not by its name"
    for damaged in ("{", '{"format": 1, "sources": {"a": 3}}', '{"format": 0, "sources": {"a": 3}}'):
        memory.write_text(damaged)
        assert ask_anew() == second

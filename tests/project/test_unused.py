"""No public name stands in the product that nothing there uses: what only tests or benchmarks need is theirs."""

import ast
import re
import tomllib

import pytest

from tests.project import sources, unused
from tests.project.sources import ROOT

_FOREIGN = "for workloads of other packages, such as tests/contracts/foreign"
ALLOWED = {
    "components.serving.answering:Answer": _FOREIGN,
    "components.serving.answering:answering": _FOREIGN,
    "components.serving.asking:NUM_CLIENTS": _FOREIGN,
    "components.serving.asking:agree": _FOREIGN,
    "components.serving.asking:ask_all": _FOREIGN,
    "components.workloads.rails.candidates:Candidate": _FOREIGN,
    "components.workloads.rails.candidates:keep_candidates": _FOREIGN,
    "components.promotion.signatures:create_key": "documented Python call: makes a signing key",
    "components.synthesis.picture.aims:fits": "tests and a benchmark ask whether a row follows an aim",
    "components.synthesis.renders.meshes:load_model_file": "tests and a benchmark read a mesh from a file",
}
HOOKS = {
    "encoded": _FOREIGN,
    "forward": "torch calls it",
    "list_commands": "click calls it",
}


def entries() -> set[unused.Name]:
    """What pyproject names to start and to plug in."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    named = [*project["scripts"].values(), *project["entry-points"]["detent.workloads"].values()]
    return {tuple(re.split(":", name)) for name in named}  # type: ignore[misc]


def test_every_public_name_is_used_by_the_product() -> None:
    silent = set(unused.unused(entries()))
    new = sorted(silent - ALLOWED.keys())
    assert not new, f"nothing in the product uses {new}; delete them, with the tests that they alone have"
    stale = sorted(ALLOWED.keys() - silent)
    assert not stale, f"{stale} are used or gone; take them off the list"


def test_every_public_method_is_read_by_the_product() -> None:
    silent = [member for member in unused.silent_members() if member.rpartition(".")[2] not in HOOKS]
    assert not silent, f"nothing in the product reads {silent}; delete them, with the tests that they alone have"


PLANTED = {
    "components.a": """
from components.b import used, kept as alias
LIMIT, SPARE = 3, 4
@registry.command()
def verb() -> None:
    from components import b
    alias(b.read_late, LIMIT)
def forgotten() -> None:
    forgotten()
    also_dead()
def also_dead() -> None: ...
class Shape:
    def area(self) -> int: ...
    def silent(self) -> int: ...
SHAPE = Shape().area
SERVED = "components.b:named"
used(SHAPE, SERVED)
""",
    "components.b": """
def used(*values: object) -> None: ...
def kept(*values: object) -> None: ...
def read_late() -> None: ...
def named() -> None: ...
def lonely() -> None: ...
""",
}


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two modules in the product's place."""
    paths = {name: ROOT / name.replace(".", "/") for name in PLANTED}
    parsed = {name: ast.parse(text) for name, text in PLANTED.items()}
    for holder in (sources, unused):
        monkeypatch.setattr(holder, "paths", lambda: paths)
        monkeypatch.setattr(holder, "trees", lambda: parsed)


@pytest.mark.usefixtures("planted")
def test_names_of_use_to_nobody_are_found_and_no_others() -> None:
    found = {name.partition(":")[2] for name in unused.unused(set())}
    assert found == {"SPARE", "forgotten", "also_dead", "lonely"}
    assert unused.silent_members() == ["components.a:Shape.silent"]

"""A package of somebody else may be wrong in any way: one line names the workload and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from components.core.errors import ConfigError
from components.workloads.registry import find_workload, workload_names
from tests.contracts.foreign_packages import FOREIGN, installed

PROJECT = """
[project]
name = "{package}"
version = "1"
entry-points."detent.workloads".{name} = "{place}"
"""
GOOD = """
from dataclasses import replace
from detent_pairs.workload import WORKLOAD as PAIRS
WORKLOAD = replace(PAIRS, name="odd")
"""


@pytest.fixture
def package(tmp_path: Path) -> Callable[..., Path]:
    """Writes a package with one module and its entry point."""

    def write(text: str, *, place: str = "odd_workload:WORKLOAD", name: str = "odd", package: str = "odd") -> Path:
        folder = tmp_path / package
        folder.mkdir()
        (folder / "odd_workload.py").write_text(text)
        (folder / "pyproject.toml").write_text(PROJECT.format(package=package, name=name, place=place))
        return folder

    return write


def test_a_good_one_is_found_beside_those_built_in(package: Callable[..., Path], tmp_path: Path) -> None:
    with installed(FOREIGN, package(GOOD), site=tmp_path / "site"):
        assert set(workload_names()) == {"odd", "pairs", "products"}
        assert find_workload("odd").judge is find_workload("pairs").judge
    with pytest.raises(ConfigError, match="unknown workload 'odd', known: products"):
        find_workload("odd")


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        (GOOD, "odd_workload:NOTHING", r"cannot be loaded from odd_workload:NOTHING \(AttributeError"),
        (GOOD, "no_such_module:WORKLOAD", r"cannot be loaded from no_such_module:WORKLOAD \(ModuleNotFoundError"),
        (
            "import no_such_module",
            "odd_workload:WORKLOAD",
            r"\(ModuleNotFoundError: No module named 'no_such_module'\)",
        ),
        ("1 +", "odd_workload:WORKLOAD", r"cannot be loaded .*\(SyntaxError"),
        ("raise SystemExit", "odd_workload:WORKLOAD", r"cannot be loaded .*\(SystemExit"),
        ("WORKLOAD = {'name': 'odd'}", "odd_workload:WORKLOAD", "is a dict, expected a Workload"),
        (GOOD.replace("odd", "even"), "odd_workload:WORKLOAD", "is called 'even' itself"),
        (
            GOOD + "WORKLOAD = replace(WORKLOAD, params=dict)",
            "odd_workload:WORKLOAD",
            "no subclass|params are <class 'dict'>",
        ),
        (
            GOOD + "WORKLOAD = replace(WORKLOAD, params=WORKLOAD)",
            "odd_workload:WORKLOAD",
            "expected a subclass of Params",
        ),
        (
            GOOD + "WORKLOAD = replace(WORKLOAD, stages={n: s for n, s in PAIRS.stages.items() if n != 'selection'})",
            "odd_workload:WORKLOAD",
            r"stages \['validation', 'training', 'packaging'\].*needs .*'selection'",
        ),
        (
            GOOD + "WORKLOAD = replace(WORKLOAD, stages={**PAIRS.stages, 'serving': PAIRS.stages['training']})",
            "odd_workload:WORKLOAD",
            "may have any",
        ),
    ],
)
def test_a_workload_that_cannot_work_is_named(
    package: Callable[..., Path], tmp_path: Path, text: str, place: str, fault: str
) -> None:
    folder = package(text, place=place)
    with installed(FOREIGN, folder, site=tmp_path / "site"):
        with pytest.raises(ConfigError, match=f"workload 'odd'.*({fault})") as caught:
            find_workload("odd")
        assert "\n" not in str(caught.value)


def test_two_packages_that_give_one_name_are_told_apart(package: Callable[..., Path], tmp_path: Path) -> None:
    second = package(GOOD, place="another:WORKLOAD", package="another")
    with (
        installed(FOREIGN, package(GOOD), second, site=tmp_path / "site"),
        pytest.raises(ConfigError, match="'odd' is given by another:WORKLOAD and by odd_workload:WORKLOAD"),
    ):
        find_workload("odd")

"""A package of somebody else may be wrong in any way: one line names the workload and what is wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from components.core import samples
from components.core.errors import ConfigError, DataError, IntegrityError
from components.core.files import write_json
from components.core.manifest import ManifestWriter
from components.core.workloads import StageInput
from components.core.workspace import Workspace
from components.serving.asking import agree, ask_all
from components.serving.server import free_port
from components.workloads.rails.candidates import Candidate, keep_candidates
from components.workloads.rails.params import Params
from components.workloads.rails.selection import gate
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


IDS = [f"{number:032x}" for number in range(40)]


@pytest.fixture
def given(tmp_path: Path) -> StageInput:
    """A workspace after training, of a workload that judges forty questions in each split."""
    workspace = Workspace(root=tmp_path / "workspace", home=tmp_path / "home")
    for split, start in (("search", 0), ("certify", 20)):
        place = workspace.samples(split)
        with ManifestWriter(place.images) as writer:
            for name in IDS[start : start + 20]:
                writer.write({"sample_id": name, "image": {"bytes": b"", "path": None}, "label": "same"})
        samples.write(place.path, samples.one_an_image(place.images))
    with ManifestWriter(workspace.replay):
        pass
    write_json(workspace.baseline / "baseline.json", {"model": None, "anchor_version": None})
    with installed(FOREIGN, site=tmp_path / "site"):
        found = StageInput(
            workspace=workspace, params=Params(workload="pairs"), workload=find_workload("pairs"), code={}
        )
    keep_candidates(found, {"plain": Candidate(files={"threshold.json": {"threshold": 0.5}})})
    return found


def say(_artefact: Path, asked: samples.SampleSet, *, cache: Path) -> pa.Table:
    ids = asked.table(["sample_id"])["sample_id"]
    said = {"verdict": [1] * len(ids), "score": [0.5] * len(ids), "prediction": ["same"] * len(ids)}
    return pa.table({"sample_id": ids, **said})


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


FAULTS: dict[str, tuple[Callable[[pa.Table], object], str]] = {
    "no table": (lambda said: said.to_pylist(), "judge gave a list, expected a pyarrow Table"),
    "scores alone": (lambda said: said["score"], "judge gave a ChunkedArray"),
    "no verdict": (lambda said: said.drop_columns("verdict"), r"no columns \['verdict'\]"),
    "ids as numbers": (lambda said: with_column(said, "sample_id", range(20)), "'sample_id' is int64"),
    "NaN": (lambda said: with_column(said, "score", [np.nan] * 20), "NaN in 'score'"),
    "an empty verdict": (lambda said: with_column(said, "verdict", [None] * 20), "empty values in 'verdict'"),
    "a verdict of its own": (lambda said: with_column(said, "verdict", [2] * 20), r"verdicts \[2\] are not among"),
    "a share as a verdict": (lambda said: with_column(said, "verdict", [0.5] * 20), "'verdict' is not int8"),
    "one left out": (lambda said: said.slice(1), "19 verdicts on 20 questions, 1 of which have none"),
    "one twice": (lambda said: pa.concat_tables([said, said.slice(0, 1)]), "21 verdicts on 20 questions"),
    "one not asked": (
        lambda said: with_column(said, "sample_id", ["x", *said["sample_id"].to_pylist()[1:]]),
        r"1 verdicts on what was not asked \(first \['x'\]\)",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_judge_that_is_wrong_is_named_before_a_look_is_charged(given: StageInput, tmp_path: Path, name: str) -> None:
    spoil, fault = FAULTS[name]
    wrong = replace(given.workload, judge=lambda *asked, **more: spoil(say(*asked, **more)))
    with pytest.raises(DataError, match=f"verdict table of model .* by workload 'pairs': .*{fault}") as caught:
        gate(replace(given, workload=wrong), champion=None, out=tmp_path / "out")
    assert "\n" not in str(caught.value) and not given.workspace.ledger_anchor.exists()
    assert not list((tmp_path / "out").glob("*.decision.json"))


def test_a_judge_that_is_right_is_heard(given: StageInput, tmp_path: Path) -> None:
    report = gate(replace(given, workload=replace(given.workload, judge=say)), champion=None, out=tmp_path / "out")
    assert report.metrics["plain.search_accuracy"] == 1.0 and given.workspace.ledger_anchor.exists()


def test_candidates_that_cannot_be_kept_are_named(given: StageInput) -> None:
    with pytest.raises(DataError, match="there is no candidate"):
        keep_candidates(given, {})
    with pytest.raises(ConfigError, match=r"candidates \['a/b'\]"):
        keep_candidates(given, {"a/b": Candidate(files={"x.json": {}})})
    with pytest.raises(DataError, match=r"'weights.pt', and a pickle"):
        keep_candidates(given, {"plain": Candidate(files={"weights.pt": b""})})
    assert (given.workspace.stage("training") / "plain" / "model" / "threshold.json").is_file(), "all or nothing"


def test_a_server_that_answers_otherwise_or_not_at_all_is_told_by_sample() -> None:
    assert agree({"a": 0.0, "b": 1e-5}, tolerance=1e-4).max_difference == 1e-5
    with pytest.raises(IntegrityError, match=r"2 of 3 samples otherwise than recorded.*: b \(by 0.2\); c \(by nan\)"):
        agree({"a": 0.0, "b": 0.2, "c": float("nan")}, tolerance=1e-4)
    with pytest.raises(
        IntegrityError, match=r"1 of 1 questions to POST /verify were not answered; question 1: no answer"
    ):
        ask_all(free_port(), "/verify", [{"a": b"x", "b": b"y"}])

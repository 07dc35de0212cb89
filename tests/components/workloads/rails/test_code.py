"""What the code of a stage is: proven on the tree as it is, on copies of it with one line changed, and abroad."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import components
from components.core import closures
from components.core.errors import ConfigError
from components.core.files import read_json
from components.core.workloads import Step, Workload
from components.core.workspace import STAGES, Stage, Workspace
from components.workloads.__main__ import main
from components.workloads.products.workload import WORKLOAD
from components.workloads.rails.code import code_of, release_code, stage_code, stage_codes, write_code

ROOT = Path(components.__file__).parent
Copy = Callable[..., dict[Stage, str]]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path / "workspace", home=tmp_path / "home")


@pytest.fixture
def copied(tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Copy:
    """The digests of the stages of products from a copy of the package, with text replaced in one of its files."""

    def ask(name: str = "", old: str = "", new: str = "") -> dict[Stage, str]:
        root = tmp_path / "copies" / f"{len(list(tmp_path.glob('copies/*')))}" / "components"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns("__pycache__"))
        if name:
            text = (root / name).read_text(encoding="utf-8")
            assert old in text, f"{name} no longer says {old!r}"
            (root / name).write_text(text.replace(old, new, 1), encoding="utf-8")
        spec = SimpleNamespace(submodule_search_locations=[str(root)])
        with monkeypatch.context() as patch:
            patch.setattr(closures, "find_spec", lambda _name: spec)
            return code_of(WORKLOAD, workspace)

    return ask


def files(stage: Any) -> list[str]:
    """The names of what a stage of products is made of."""
    seen: list[str] = []
    real = closures.closure

    def watching(*args: Any, **options: Any) -> Any:
        found = real(*args, **options)
        seen.extend(found)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("components.workloads.rails.code.closure", watching)
        stage_code(WORKLOAD, stage)
    return seen


def below(names: list[str], *packages: str) -> list[str]:
    prefixes = tuple(f"components.{package}" for package in packages)
    return [name for name in names if name.startswith(prefixes) and not name.endswith((".config", *prefixes))]


def test_no_stage_is_made_of_what_another_does() -> None:
    """The tree as it is: an import in the wrong place makes a stage depend on code that it does not run."""
    validation, synthesis, training, selection = (files(stage) for stage in STAGES[:4])
    assert not below(validation, "training", "synthesis", "selection", "packaging", "promotion", "serving")
    assert not below(synthesis, "training", "selection", "packaging", "promotion", "serving", "validation", "models")
    assert "components.selection.search.search" in training
    assert not below(training, "selection.report", "selection.gate", "selection.ledger.ledger", "selection.regions")
    assert not below(training, "synthesis", "validation", "packaging", "promotion", "serving")
    assert not below(selection, "training", "synthesis")
    assert "components.selection.report/report.html.j2" in selection
    assert "components.workloads.classification.judging" in selection, "handed in by the workload"
    assert "components.training.losses" in training and "components.training.family.fit" in training
    for stage in STAGES:
        assert not {"components.workloads.registry", "components.workloads.products.workload"} & set(files(stage))


def test_a_bento_is_of_the_code_that_serves_and_checks_it() -> None:
    packaging = files("packaging")
    assert {
        "components.serving.service", "components.workloads.classification.application",
        "components.workloads.classification.recording", "components.workloads.classification.service",
    } <= set(packaging)  # fmt: skip
    assert not below(packaging, "training", "synthesis", "validation")


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("training/losses.py", "return", "1 + 1\n        return", {"training"}),
        ("selection/report/report.html.j2", "<", " <", {"selection"}),
        ("selection/config.py", "anchor_version", "anchor_version_", {"selection"}),
        ("packaging/config.py", "64", "65", {"packaging"}),
        ("synthesis/pastes/config.py", "from __future__", "import json\nfrom __future__", {"synthesis"}),
        ("core/digests.py", "SAMPLE_ID_LENGTH = 32", "SAMPLE_ID_LENGTH = 16", set(STAGES)),
        ("training/losses.py", '"""', '"""Once more: ', set()),
        ("training/losses.py", "\n", "\n# as before\n", set()),
        ("training/README.md", "#", "##", set()),
        ("core/README.md", "#", "##", set()),
        ("promotion/journal.py", "import", "import json\nimport", {"selection"}),
        ("workloads/products/workload.py", "summary=", "summary='' or ", set()),
    ],
)
def test_one_changed_line_reaches_the_stages_that_run_it(
    copied: Copy, name: str, old: str, new: str, changed: set[str]
) -> None:
    before, after = copied(), copied(name, old, new)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == changed
    assert (release_code(before) != release_code(after)) == bool(changed)


def test_where_the_package_lies_does_not_matter(copied: Copy, workspace: Workspace) -> None:
    assert copied() == code_of(WORKLOAD, workspace)


def abroad(folder: Path, monkeypatch: pytest.MonkeyPatch, **texts: str) -> Workload:
    """A workload of another package, of these modules; its functions stand in no file that is imported."""
    package = folder / "stall"
    package.mkdir(parents=True)
    given = {"__init__": "", "work": "from stall import rates\n", "rates": "RATE = 3\n", "asking": "", "more": ""}
    for name, text in {**given, **texts}.items():
        (package / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))

    def function(module: str) -> Any:
        def anything(*_: Any, **__: Any) -> Any:
            raise AssertionError("nothing is run")

        anything.__module__ = module
        return anything

    stages = {
        "training": Step(run=partial(function("stall.work"), 3), sections=("training",)),
        "selection": WORKLOAD.stages["selection"],
        "packaging": WORKLOAD.stages["packaging"],
    }
    return replace(WORKLOAD, name="stall", stages=stages, judge=function("stall.asking"), code=("stall.more",))


@pytest.mark.parametrize(
    ("module", "changed"),
    [
        ("work", {"training"}),
        ("rates", {"training"}),
        ("asking", {"selection"}),
        ("more", {"training", "selection", "packaging"}),
    ],
)
def test_a_changed_line_of_a_foreign_workload_reaches_its_stages(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, module: str, changed: set[str]
) -> None:
    before = code_of(abroad(tmp_path / "before", monkeypatch), workspace)
    line = "from stall import rates\nLATER = 1\n"
    after = code_of(abroad(tmp_path / "after", monkeypatch, **{module: line}), workspace)
    assert before.keys() == after.keys() == {"training", "selection", "packaging"}
    assert {stage for stage in before if before[stage] != after[stage]} == changed


def test_a_workload_that_names_code_which_is_not_there_is_told(
    tmp_path: Path, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workload = replace(abroad(tmp_path / "it", monkeypatch), code=("stall.nowhere",))
    with pytest.raises(ConfigError, match=r"names the module stall\.nowhere, which is not there"):
        code_of(workload, workspace)


def test_values_that_a_workload_hands_to_a_stage_are_code_of_that_stage() -> None:
    more = replace(WORKLOAD, service=replace(WORKLOAD.service, packages=("numpy",)))
    assert stage_code(more, "packaging").digest != stage_code(WORKLOAD, "packaging").digest
    assert stage_code(more, "selection") == stage_code(WORKLOAD, "selection")
    fewer = replace(WORKLOAD, sources=WORKLOAD.sources[:2])
    assert stage_code(fewer, "validation").digest != stage_code(WORKLOAD, "validation").digest


def test_files_for_dvc_are_written_only_where_they_say_something_else(workspace: Workspace) -> None:
    write_code(WORKLOAD, workspace)
    folder = workspace.data / "code"
    assert sorted(path.stem for path in folder.iterdir()) == sorted(STAGES)
    codes = stage_codes(WORKLOAD, workspace)
    assert read_json(folder / "training.json")["digest"] == codes["training"].digest
    written = {path.name: path.stat().st_ino for path in folder.iterdir()}
    (folder / "of-another-workload.json").write_text("{}")
    (folder / "training.json").write_text("{")
    write_code(WORKLOAD, workspace)
    after = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert after.keys() == written.keys()
    assert {name for name in after if after[name] != written[name]} <= {"training.json"}
    assert read_json(folder / "training.json")["digest"] == codes["training"].digest


def test_by_hand_the_command_writes_the_same_files(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace.root.mkdir()
    shutil.copyfile(ROOT.parent / "params.yaml", workspace.params)
    monkeypatch.setenv("DETENT_WORKSPACE", str(workspace.root))
    assert main(["code"]) == 0
    for stage, digest in code_of(WORKLOAD, workspace).items():
        assert read_json(workspace.data / "code" / f"{stage}.json")["digest"] == digest
    assert main(["cod"]) == 2
    assert "one of code, validation" in capsys.readouterr().err

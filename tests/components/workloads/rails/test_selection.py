"""A workspace's release before the gate: any workload's judge is asked, and photos without questions are refused."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.core import samples
from components.core.digests import digest_json, digest_tree
from components.core.errors import DataError, StateError
from components.core.files import read_json
from components.core.manifest import Split
from components.core.params import parse_section
from components.core.samples import SampleSet
from components.core.workloads import StageInput
from components.core.workspace import STAGES, Workspace
from components.models.identity import CARD, WEIGHTS, model_digest
from components.workloads.products.workload import WORKLOAD
from components.workloads.rails import records, selection
from components.workloads.rails.selection import gate, gate_pair
from tests.flows.drawn import lay_out_splits, pin_champion

SPLITS: tuple[Split, ...] = ("train", "search", "certify")
POLICY = {"limit": 0.2, "slices": {"columns": []}, "improvement": {"rule": "none"}}

CODE = dict.fromkeys(STAGES, "c0de")


def lay_model(folder: Path) -> Path:
    """A model that only its judge can read."""
    folder.mkdir(parents=True)
    (folder / WEIGHTS).write_text(folder.parent.name)
    (folder / CARD).write_text("{}")
    return folder


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    made = Workspace(root=tmp_path / "workspace", home=tmp_path / "home")
    lay_out_splits(made)
    for name in ("better", "other", "reseed"):
        lay_model(made.stage("training") / name / "model")
    pin_champion(made, lay_model(tmp_path / "champion" / "model"))
    return made


@pytest.fixture
def asked() -> Counter[str]:
    return Counter()


@pytest.fixture
def given(workspace: Workspace, asked: Counter[str]) -> StageInput:
    def judge(artefact: Path, samples: SampleSet, *, cache: Path) -> pa.Table:
        name = (artefact / WEIGHTS).read_text()
        asked[f"{name} on {samples.images.name}"] += 1
        table = samples.table(["sample_id", "truth"])
        right = [int(index % 5 != 0 or name == "better") for index in range(table.num_rows)]
        columns = {"verdict": right, "score": [1.0] * len(right), "prediction": table["truth"]}
        return pa.table({"sample_id": table["sample_id"], **columns})

    params = parse_section(WORKLOAD.params, {"selection": {"policy": POLICY}}, where="params.yaml")
    return StageInput(workspace=workspace, params=params, workload=replace(WORKLOAD, judge=judge), code=CODE)


def test_the_workload_judges_each_model_once_a_split(
    given: StageInput, asked: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digested: Counter[str] = Counter()

    def counting(name: str) -> Any:
        real = getattr(selection, name)

        def count(*arguments: Any) -> Any:
            digested[name] += 1
            return real(*arguments)

        return count

    names = ("evaluation_digest", "release_code", "read_membership", "read_marks")
    for name in names:
        monkeypatch.setattr(selection, name, counting(name))
    report = gate(given, champion=given.workspace.baseline / "model", out=tmp_path / "out")
    assert report.facts["winner"] == "better"
    assert asked == {
        **{f"{name} on {split}": 1 for name in ("champion", "better", "other") for split in ("search", "certify")},
        "reseed on search": 1,
    }
    assert digested == dict.fromkeys(names, 1)
    told = read_json(tmp_path / "out" / "better.decision.json")["digests"]
    assert told["candidate"] == model_digest(given.workspace.stage("training") / "better" / "model")
    assert told["dataset"] == records.evaluation_digest(given.workspace)


def test_two_models_are_compared_by_the_workload(given: StageInput, asked: Counter[str], tmp_path: Path) -> None:
    old, new = (given.workspace.stage("training") / name / "model" for name in ("other", "better"))
    decision = gate_pair(given, old=old, new=new, out=tmp_path / "out")
    assert decision.outcome == "PROMOTE" and decision.digests["champion"] == model_digest(old)
    assert {*asked} == {f"{name} on {split}" for name in ("other", "better") for split in ("search", "certify")}
    certify = given.workspace.samples("certify")
    shutil.rmtree(certify.images)
    certify.path.unlink()
    with pytest.raises(DataError, match="no labelled photos to compare on"):
        gate_pair(given, old=old, new=new, out=tmp_path / "none")


def test_photos_of_a_validation_that_wrote_no_questions_are_not_gated_without_their_slices(
    given: StageInput, tmp_path: Path
) -> None:
    photos = given.workspace.stage("validation") / "photos"
    before = digest_json([digest_tree(photos / split, "*.parquet") for split in ("search", "certify")])
    assert records.evaluation_digest(given.workspace) != before
    shutil.rmtree(given.workspace.samples("certify").path.parent)
    assert records.evaluation_digest(given.workspace) == before, "Decisions of that time are still about these photos"
    with pytest.raises(StateError, match=r"search\.parquet is missing.*`detent run validation` makes it"):
        gate(given, champion=None, out=tmp_path / "out")


def test_a_changed_truth_or_slice_is_another_evaluation(given: StageInput) -> None:
    before = records.evaluation_digest(given.workspace)
    path = given.workspace.samples("search").path
    rows = given.workspace.samples("search").table().to_pylist()
    samples.write(path, [rows[0] | {"s_class": "another"}, *rows[1:]])
    assert records.evaluation_digest(given.workspace) != before

"""`detent aim` finds a planted weakness, writes it where synthesis reads it, and says plainly when there is none."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest

from components.core import verdicts
from components.core.errors import StateError
from components.core.manifest import write_shard
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.workloads.registry import load_params
from flows.commands.aim import aim_synthesis
from flows.office import Office
from tests.flows.drawn import write_params

N = 800


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    made = Workspace.from_settings(Settings())
    made.root.mkdir(parents=True)
    write_params(made)
    return made


def lay_down(workspace: Workspace, rate_of_small: float) -> None:
    """Search photos at several scales with verdicts; small ones fail at the given rate, others in 1 of 10 cases."""
    rng = np.random.default_rng(0)
    scale = rng.uniform(0.3, 1.2, N)
    ids = [f"s{index:04d}" for index in range(N)]
    rows = [
        {"sample_id": name, "label": "ball", "f_scale": float(value)} for name, value in zip(ids, scale, strict=True)
    ]
    write_shard(workspace.stage("validation") / "photos" / "search" / "shard-00000.parquet", rows)
    right = rng.random(N) >= np.where(scale < 0.5, rate_of_small, 0.1)
    table = pa.table({
        "sample_id": ids, "verdict": right.astype(np.int8), "score": np.ones(N, np.float32), "prediction": ["ball"] * N,
    })  # fmt: skip
    verdicts.write(workspace.stage("selection") / "verdicts" / "search-plain.parquet", table)


def test_a_planted_weakness_becomes_an_aim_of_the_next_release(workspace: Workspace) -> None:
    lay_down(workspace, 0.6)
    before = load_params(workspace)
    told = aim_synthesis()
    assert load_params(workspace) == before, "without --write nothing changes"
    assert "More than elsewhere in: scale <= 0.5" in told.lines[0] and "--write" in " ".join(told.after)
    aim_synthesis(share=0.3, write=True)
    (aim,) = load_params(workspace).synthesis.aims
    assert aim.share == pytest.approx(0.3, abs=0.01) and aim.ranges["scale"] == pytest.approx((0.3, 0.5), abs=0.06)
    record = json.loads((workspace.reports / "aim.json").read_text())
    assert record["written"] and record["tests"][0]["named"] and (workspace.reports / "aim.png").is_file()


def test_where_nothing_is_found_params_stay_and_it_says_so(workspace: Workspace) -> None:
    lay_down(workspace, 0.1)
    before = workspace.params.read_bytes()
    told = aim_synthesis(write=True)
    assert "No region is named" in told.lines[0] and "left as it is" in " ".join(told.after)
    assert told.exit_code == 0 and workspace.params.read_bytes() == before


def test_with_few_samples_it_says_so(workspace: Workspace, tmp_path: Path) -> None:
    table = pa.table({"sample_id": ["a", "b"], "verdict": pa.array([0, 1], pa.int8())})
    pa_csv.write_csv(table, tmp_path / "table.csv")
    told = aim_synthesis(verdicts=str(tmp_path / "table.csv"))
    assert "Too few samples" in " ".join(told.lines) and not told.tables


def test_a_release_at_work_keeps_its_params(workspace: Workspace) -> None:
    lay_down(workspace, 0.6)
    with Office.open().lock(), pytest.raises(StateError, match="another release"):
        aim_synthesis(write=True)


def test_before_the_first_release_it_says_what_to_do(workspace: Workspace) -> None:
    with pytest.raises(StateError, match="detent run release"):
        aim_synthesis()

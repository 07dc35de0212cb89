"""One office a command: opened once, read once, and nothing secret of it handed on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fastapi.encoders import jsonable_encoder

from components.core import params as core_params
from components.core.errors import ConfigError
from components.core.settings import Settings
from components.core.workspace import Workspace
from components.workloads import registry
from components.workloads.products.workload import WORKLOAD
from flows.baseline import refresh_baseline
from flows.office import Office
from tests.flows.drawn import make_workspace

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("DETENT_WORKSPACE", str(tmp_path / "workspace"))
    made = Workspace.from_settings(Settings())
    make_workspace(made)
    return made


def test_params_are_read_once(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Path] = []

    def counted(path: Path) -> dict[str, object]:
        read.append(path)
        return core_params.read_params(path)

    monkeypatch.setattr(registry, "read_params", counted)
    office = Office.open()
    assert office.title == "products on drawn" and office.key("phone").target == "phone"
    assert office.champion() is None and list(office.changes()) == list(office.stages())
    assert read == [workspace.params]


def test_what_prefect_writes_down_of_an_office_holds_no_password(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flow's parameters are encoded like this and kept by Prefect's server."""
    monkeypatch.setenv("DETENT_MLFLOW_URL", "postgresql://detent:secret@db/mlflow")
    office = Office.open()
    assert office.params and "secret" in office.settings.mlflow_address
    assert jsonable_encoder(office) == {"workload": "products", "catalog": "drawn"}


def test_stages_are_those_of_the_workload(workspace: Workspace) -> None:
    office = Office.open()
    assert office.stages("training") == ("validation", "synthesis", "training")
    office.workload = replace(
        WORKLOAD, stages={name: step for name, step in WORKLOAD.stages.items() if name != "synthesis"}
    )
    assert office.stages("training") == ("validation", "training")
    with pytest.raises(ConfigError, match="'products' has no stage synthesis, it has validation, training, selection"):
        office.stages("synthesis")


def test_a_workload_that_takes_in_no_model_says_so(workspace: Workspace) -> None:
    office = Office.open()
    office.workload = replace(WORKLOAD, take_in=None)
    with pytest.raises(ConfigError, match="takes in no model from elsewhere; leave --incumbent out"):
        refresh_baseline(office, incumbent=Path("theirs"))
    assert not workspace.baseline.exists()

"""Settings come from the environment, state stays below the home, and what a user set stays as it is."""

import os
from pathlib import Path

import pytest

from components.core.processes import OWNER, process_mark
from components.core.settings import QUIET, STEADY, Settings, prepare_environment


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DETENT_")}
    monkeypatch.setattr(os, "environ", kept)


def test_nothing_needs_to_be_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.environ["LOGNAME"] = "kim"
    settings = Settings()
    assert (settings.actor, settings.engine, settings.signing_key, settings.notify_urls) == ("kim", "local", None, "")
    assert settings.journal_address == f"sqlite:///{tmp_path}/.detent/journal.db"
    assert settings.mlflow_address == f"sqlite:///{tmp_path}/.detent/mlflow/mlflow.db"


def test_the_environment_is_read_and_an_empty_variable_is_none(tmp_path: Path) -> None:
    os.environ.update(DETENT_HOME=str(tmp_path), DETENT_JOURNAL_URL="postgresql+psycopg://db/one", DETENT_MLFLOW_URL="")
    settings = Settings()
    assert settings.journal_address == "postgresql+psycopg://db/one"
    assert settings.mlflow_address == f"sqlite:///{tmp_path}/mlflow/mlflow.db"


def test_telemetry_is_off_whatever_was_set_and_homes_lie_below_ours(tmp_path: Path) -> None:
    name, other = list(STEADY)[:2]
    os.environ.pop("PREFECT_HOME", None)
    os.environ.pop(other, None)
    os.environ.update({"DO_NOT_TRACK": "0", "BENTOML_HOME": "/elsewhere", name: "mine"})
    prepare_environment(Settings(home=tmp_path))
    assert {name: os.environ[name] for name in QUIET} == QUIET
    assert os.environ["PREFECT_HOME"] == str(tmp_path / "prefect") and os.environ["BENTOML_HOME"] == "/elsewhere"
    assert os.environ[name] == "mine" and os.environ[other] == STEADY[other]
    assert os.environ[OWNER] == process_mark()

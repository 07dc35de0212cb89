"""Addresses and secrets, from the environment (`DETENT_*`); everything else is in params.yaml.

Each setting has an embedded default below DETENT_HOME, so nothing needs to be set.
"""

from __future__ import annotations

import getpass
import os
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from components.core.processes import OWNER, process_mark

# Telemetry of every dependency, off; and bars that dependencies would draw between ours.
QUIET = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_CLOUD_ENABLE_ORCHESTRATION_TELEMETRY": "false",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DVC_NO_ANALYTICS": "1",
    "BENTOML_DO_NOT_TRACK": "True",
    "GX_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "RAY_USAGE_STATS_ENABLED": "0",
}

# What keeps a run steady on a shared machine; the user's own values stay.
STEADY = {
    "PREFECT_LOGGING_LEVEL": "WARNING",
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "180",  # its 20 are too few on a busy machine
    "GOMP_SPINCOUNT": "1000",  # threads that spin longer stall one another on a busy machine
}


class Settings(BaseSettings):
    """Where Detent keeps its state and which services it uses instead of the embedded ones."""

    model_config = SettingsConfigDict(env_prefix="DETENT_", env_ignore_empty=True, frozen=True)

    home: Path = Field(Path(".detent"), description="folder of all state: databases, reports, models, caches")
    workspace: Path = Field(Path(), description="folder of params.yaml, dvc.yaml and data/")
    mlflow_url: str | None = Field(None, description="MLflow tracking address; default: SQLite below home")
    journal_url: str | None = Field(None, description="SQLAlchemy address of the journal; default: SQLite below home")
    actor: str = Field(default_factory=getpass.getuser, description="who acts; recorded in the journal")
    engine: str = Field("local", description="what makes shards: local, dask, dask:tcp://HOST:8786, ray, ray:ADDRESS")
    signing_key: Path | None = Field(None, description="PEM file of the actor's private key; default: rows unsigned")
    notify_urls: str = Field("", description="addresses for apprise, separated by spaces; default: the log alone")

    @property
    def mlflow_address(self) -> str:
        """The tracking store's address."""
        return self.mlflow_url or f"sqlite:///{self.home.resolve()}/mlflow/mlflow.db"

    @property
    def journal_address(self) -> str:
        """The journal's address."""
        return self.journal_url or f"sqlite:///{self.home.resolve()}/journal.db"


def prepare_environment(settings: Settings) -> None:
    """Turn every dependency's telemetry off, keep the state of Prefect and BentoML below home, mark our children.

    Must run before those are imported; what the user has set already stays as it is, telemetry and mark apart.
    """
    os.environ.update(QUIET)
    os.environ[OWNER] = process_mark()
    home = settings.home.resolve()
    os.environ.setdefault("PREFECT_HOME", str(home / "prefect"))
    os.environ.setdefault("BENTOML_HOME", str(home / "bentoml"))
    for name, value in STEADY.items():
        os.environ.setdefault(name, value)

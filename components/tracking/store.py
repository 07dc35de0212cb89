"""Opens the MLflow store: the first client on a new one works alone, under a lock.

Eight processes that race the first start of an SQLite store kill each other in its schema migration.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from components.core.errors import UnavailableError

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "detent"


def open_store(address: str, *, home: Path) -> MlflowClient:
    """A client on the tracking store and registry at `address`; artefacts lie below `home` unless it is a server.

    UnavailableError when nothing answers there.
    """
    from filelock import FileLock

    folder = home / "mlflow"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "first-start.lock"):
        return _connect(address, folder)


def _connect(address: str, folder: Path) -> MlflowClient:
    import mlflow
    from mlflow.exceptions import MlflowException

    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    mlflow.set_tracking_uri(address)
    mlflow.set_registry_uri(address)
    client = mlflow.MlflowClient(tracking_uri=address, registry_uri=address)
    try:
        if client.get_experiment_by_name(EXPERIMENT) is None:
            served = address.startswith(("http:", "https:"))
            client.create_experiment(EXPERIMENT, None if served else (folder / "artifacts").as_uri())
    except MlflowException as error:
        raise UnavailableError(
            f"the MLflow store at {address} does not answer ({error}); check DETENT_MLFLOW_URL"
        ) from None
    return client

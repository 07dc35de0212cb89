"""Registered models: one version a trained candidate; the alias `champion`, and one a target, follow the journal."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from components.core.errors import DataError, IntegrityError, StateError
from components.models.identity import CARD, artefact_files, copy_artefact
from components.tracking.runs import PARENT, Tracker

ALIAS = "champion"
SEQUENCE = "detent.sequence"
DIGEST = "detent.digest"
WORKLOAD, CATALOG = "detent.workload", "detent.catalog"  # tags of a release's own run


def registered_name(tracker: Tracker, workload: str, catalog: str) -> str:
    """The registered model of a workload and catalogue, `WORKLOAD-CATALOG`; no two share one.

    Where a name holds a dash itself a dot stands between the two, since `a-b` of `c` would else be `a` of `b-c`.
    Earlier versions wrote a dash all the same: such a model stays with those whose release registered it first.
    """
    plain = f"{workload}-{catalog}"
    if plain.count("-") == 1 or _first_registered_by(tracker, plain) == (workload, catalog):
        return plain
    return f"{workload}.{catalog}"


def _first_registered_by(tracker: Tracker, name: str) -> tuple[str, str] | None:
    """The workload and catalogue whose release registered the first version of a model, or None."""
    from mlflow.exceptions import MlflowException

    versions = sorted(tracker.client.search_model_versions(f"name = '{name}'"), key=lambda one: int(one.version))
    run_id = versions[0].run_id if versions else None
    try:
        while run_id:
            tags = tracker.client.get_run(run_id).data.tags
            if WORKLOAD in tags:
                return tags[WORKLOAD], tags.get(CATALOG, "")
            run_id = tags.get(PARENT)
    except MlflowException:
        return None  # the run was deleted
    return None


def register_model(tracker: Tracker, name: str, folder: Path, *, run_id: str, tags: Mapping[str, str]) -> str:
    """Keep a model's files with its run and register it; returns the version. The same digest is registered once."""
    from mlflow.exceptions import MlflowException

    known = _version_of(tracker, name, tags[DIGEST])
    if known is not None:
        return known
    files = (*artefact_files(folder), CARD)
    try:
        tracker.client.create_registered_model(name, description="Candidates and champions of this workload.")
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    for file in files:
        tracker.log_file(run_id, folder / file, "model")
    source = f"{tracker.client.get_run(run_id).info.artifact_uri}/model"
    return str(tracker.client.create_model_version(name, source, run_id, tags=dict(tags)).version)


def find_version(tracker: Tracker, name: str, digest: str) -> str:
    """The version with this digest; StateError when it was never registered."""
    version = _version_of(tracker, name, digest)
    if version is None:
        raise _unregistered(name, digest)
    return version


def fetch_model(tracker: Tracker, name: str, digest: str, *, out: Path) -> None:
    """Bring the registered model with this digest to the folder `out`; StateError when there is none."""
    fetch_version(tracker, name, find_version(tracker, name, digest), out=out)


def fetch_version(tracker: Tracker, name: str, version: str, *, out: Path) -> None:
    """Bring a registered version to the folder `out`.

    StateError when there is no such version, IntegrityError when its files are not those that its card lists.
    """
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        source = tracker.client.get_model_version(name, version).source
    except MlflowException:
        raise StateError(f"'{name}' has no version {version} in MLflow's registry; `mlflow ui` lists them") from None
    fetched = Path(download_artifacts(artifact_uri=source, tracking_uri=tracker.address))
    try:
        copy_artefact(fetched, out)
    except DataError as error:
        raise IntegrityError(f"MLflow's registry holds '{name}' {version} incompletely: {error}") from error


def _version_of(tracker: Tracker, name: str, digest: str) -> str | None:
    for version in tracker.client.search_model_versions(f"name = '{name}'"):
        if version.tags.get(DIGEST) == digest:
            return str(version.version)
    return None


def champion_alias(tracker: Tracker, name: str, target: str = "") -> tuple[str, int] | None:
    """The digest that the alias `champion` points to and the journal row it was written for, or None.

    A target has an alias of its own, `champion-TARGET`.
    """
    from mlflow.exceptions import MlflowException

    try:
        version = tracker.client.get_model_version_by_alias(name, _of_target(ALIAS, "-", target))
        sequence = tracker.client.get_registered_model(name).tags[_of_target(SEQUENCE, ".", target)]
        return version.tags[DIGEST], int(sequence)
    except (MlflowException, KeyError, ValueError):
        return None


def set_champion_alias(tracker: Tracker, name: str, *, digest: str, sequence: int, target: str = "") -> None:
    """Point the champion's alias, or a target's, to the version with this digest; StateError when there is none."""
    version = _version_of(tracker, name, digest)
    if version is None:
        raise StateError(
            f"no version of '{name}' with digest {digest[:12]} is registered in MLflow; run the release again"
        )
    tracker.client.set_registered_model_alias(name, _of_target(ALIAS, "-", target), version)
    tracker.client.set_registered_model_tag(name, _of_target(SEQUENCE, ".", target), str(sequence))


def _of_target(name: str, mark: str, target: str) -> str:
    return f"{name}{mark}{target}" if target else name


def _unregistered(name: str, digest: str) -> StateError:
    return StateError(
        f"no version of '{name}' with digest {digest[:12]} is in MLflow's registry; check DETENT_MLFLOW_URL"
    )

"""Reads back from MLflow what past releases were made from: the assets of images, the inputs of models.

A synthesis run keeps its recipe.json, which names every asset by digest; a training run keeps inputs.json: the
recipe of its synthetic images, the ids of its photos, and the champion that candidates could learn from.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.core.errors import DataError
from components.core.files import read_json
from components.tracking.registry import DIGEST
from components.tracking.runs import PARENT, Tracker

if TYPE_CHECKING:
    from mlflow.entities import Run

RECIPE, INPUTS = "recipe.json", "inputs.json"
STAGE, RECIPE_DIGEST = "detent.stage", "detent.synthesis_recipe"
_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticSet:
    """One recipe that images were made by: its digest, the runs that made them, and its assets."""

    recipe: str
    runs: tuple[str, ...]
    first_made: str
    assets: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A registered model and what it came from; `inputs` is None where its run kept no record of that.

    `learned_from_champion` is False only where the candidate's recipe rules it out.
    """

    name: str
    version: str
    digest: str
    candidate: str
    uses_synthetic: bool
    uses_photos: bool
    learned_from_champion: bool
    inputs: Mapping[str, Any] | None


def synthetic_sets(tracker: Tracker) -> list[SyntheticSet]:
    """Every recipe that synthesis runs have followed, in the order of its first run."""
    runs: dict[str, list[Run]] = {}
    for run in _runs(tracker, "synthesis"):
        if RECIPE_DIGEST in run.data.tags:
            runs.setdefault(run.data.tags[RECIPE_DIGEST], []).append(run)
    found = []
    for digest, same in runs.items():
        recipe = _artefact(tracker, same[0].info.run_id, RECIPE)
        if recipe is not None:
            made = datetime.fromtimestamp(same[0].info.start_time / 1000, UTC).isoformat(timespec="seconds")
            ids = tuple(run.info.run_id for run in same)
            found.append(SyntheticSet(recipe=digest, runs=ids, first_made=made, assets=tuple(recipe["assets"])))
    return found


def trained_models(tracker: Tracker) -> list[TrainedModel]:
    """Every version of every registered model, with the inputs of the training run that made it."""
    inputs: dict[str, Mapping[str, Any] | None] = {}
    found = []
    for model in tracker.client.search_registered_models(max_results=_PAGE):
        for version in tracker.client.search_model_versions(f"name = '{model.name}'", max_results=_PAGE):
            run = tracker.client.get_run(version.run_id) if version.run_id else None
            parent = run.data.tags.get(PARENT) if run is not None else None
            if parent is not None and parent not in inputs:
                inputs[parent] = _artefact(tracker, parent, INPUTS)
            params = run.data.params if run is not None else {}
            found.append(
                TrainedModel(
                    name=model.name,
                    version=str(version.version),
                    digest=version.tags.get(DIGEST, ""),
                    candidate=version.tags.get("detent.candidate", ""),
                    uses_synthetic=params.get("use") != "photos",
                    uses_photos=params.get("use") != "synthetic",
                    learned_from_champion=_may_learn_from_champion(params),
                    inputs=inputs.get(parent) if parent is not None else None,
                )
            )
    return found


def descend(models: list[TrainedModel], touched: set[str]) -> set[str]:
    """The digests of touched models and of all that learned from one of them, however far down."""
    reached = set(touched)
    while True:
        more = {
            model.digest
            for model in models
            if model.learned_from_champion and (model.inputs or {}).get("champion") in reached
        }
        if more <= reached:
            return reached
        reached |= more


def _may_learn_from_champion(params: Mapping[str, str]) -> bool:
    plain = params.get("treatment") == "plain" and params.get("interpolate", "False") == "False"
    plain = plain and params.get("start", "scratch") == "scratch"
    return not (plain and float(params.get("distill_weight", 0)) == 0 and params.get("flip_limit", "None") == "None")


def _runs(tracker: Tracker, stage: str) -> Iterator[Run]:
    """The finished runs of a stage, the oldest first."""
    where = f"attributes.status = 'FINISHED' and tags.`{STAGE}` = '{stage}'"
    token: str | None = None
    while True:
        page = tracker.client.search_runs(
            [tracker.experiment_id], where, max_results=_PAGE, order_by=["attributes.start_time ASC"], page_token=token
        )
        yield from page
        token = page.token
        if not token:
            return


def _artefact(tracker: Tracker, run_id: str, name: str) -> dict[str, Any] | None:
    """A JSON artefact of a run; None where the run kept none."""
    if name not in {item.path for item in tracker.client.list_artifacts(run_id)}:
        return None
    with tempfile.TemporaryDirectory(prefix="detent-") as folder:
        try:
            return read_json(Path(tracker.client.download_artifacts(run_id, name, folder)))
        except OSError as error:
            raise DataError(
                f"{name} of MLflow run {run_id} cannot be read ({error}); check DETENT_MLFLOW_URL"
            ) from error

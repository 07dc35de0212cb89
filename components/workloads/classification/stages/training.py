"""Train and search photos and synthetic images in; one model a candidate out, and the family's finalists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from components.core import manifest
from components.core.digests import digest_json
from components.core.errors import DataError
from components.core.files import read_json, write_json
from components.core.stages import StageReport, write_report
from components.core.workloads import StageInput
from components.core.workspace import Workspace
from components.workloads.rails.records import champion_folder

if TYPE_CHECKING:  # what it reads of params.yaml is told by the stage's sections
    from components.workloads.classification.params import ClassificationParams


def training(given: StageInput) -> StageReport:
    """Train and search photos and synthetic images in; one model a candidate out, and the family's finalists."""
    from components.training.training import TrainingInputs, train
    from components.workloads.classification.family_search import FamilySummary, search_family

    workspace = given.workspace
    params: ClassificationParams = given.params
    validated = workspace.stage("validation")
    out = workspace.stage("training")
    inputs = TrainingInputs(
        train=validated / "photos" / "train",
        search=validated / "photos" / "search",
        synthetic=workspace.stage("synthesis"),
        classes=tuple(json.loads((validated / "classes.json").read_text(encoding="utf-8"))),
        champion=champion_folder(workspace),
        code=given.code["training"],
        cache=workspace.cache,
        scratch=workspace.scratch,
    )
    summary = train(inputs, params.training, out=out, seed=params.seed)
    searched = params.training.family is not None
    family = search_family(inputs, params, out=out) if searched else FamilySummary()
    made = (*summary.candidates, *family.candidates)
    if not made:
        raise DataError(
            f"there is no candidate: {'; '.join(family.facts.values())}; add a recipe to training.candidates"
        )
    children = {
        one.name: {
            "model": f"{one.name}/model",
            "digest": one.digest,
            "metrics": {
                "search_accuracy": one.search_accuracy,
                "num_parameters": float(one.num_parameters),
                **one.tuned,
                **family.costs.get(one.name, {}),
            },
            "params": one.recipe,
            "curves": {"search_accuracy_by_epoch": list(one.history)},
        }
        for one in made
    }
    metrics = {f"{one.name}.search_accuracy": one.search_accuracy for one in made} | dict(family.metrics)
    facts = {f"skipped {name}": reason for name, reason in summary.skipped.items()} | dict(family.facts)
    pictures = ("inputs.json", *family.pictures)
    return _told(
        out, StageReport(metrics=metrics, facts=facts | _record_inputs(workspace), pictures=pictures, children=children)
    )


def _record_inputs(workspace: Workspace) -> dict[str, str]:
    """Write down what models of this release come from, as inputs.json in training's folder; digests as facts.

    It is kept with the run, so that `detent revoke` can tell later which models a photo or an asset has touched.
    """
    recipe = digest_json(read_json(workspace.stage("synthesis") / "recipe.json"))
    champion = read_json(workspace.baseline / "baseline.json")["model"]
    photos = [
        sample
        for split in ("train", "search")
        for sample in manifest.read(workspace.stage("validation") / "photos" / split, ["sample_id"])["sample_id"]
    ]
    inputs = {"synthesis_recipe": recipe, "champion": champion, "photos": [sample.as_py() for sample in photos]}
    write_json(workspace.stage("training") / "inputs.json", inputs)
    return {"synthesis_recipe": recipe} | ({"champion": champion} if champion is not None else {})


def _told(out: Path, report: StageReport) -> StageReport:
    write_report(out, report)
    return report

"""Products: which of a catalogue's products is on a customer's photo.

One function a stage: it reads what earlier stages left in the workspace, calls the stage's component, and
writes `data/STAGE` with a report. This is the file to copy for a workload of your own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from components.core import manifest
from components.core.digests import digest_json, digest_tree
from components.core.errors import DataError
from components.core.files import atomic_directory, read_json, write_json
from components.core.params import parse_section
from components.core.stages import StageReport, Workload, write_report
from components.core.workspace import Workspace
from components.workloads.rails.params import Params
from components.workloads.rails.records import champion_folder


def validation(workspace: Workspace, raw: Mapping[str, Any]) -> StageReport:
    """Sources in; clean manifests with splits, classes and a page of checks out."""
    from components.validation.stage import Sources, validate

    params = _params(raw)
    sources = Sources(
        catalog=workspace.source("catalog"),
        photos=workspace.source("photos"),
        backgrounds=workspace.source("backgrounds"),
        placement=workspace.placement,
        champion=champion_folder(workspace) if params.validation.scenes.features == "champion" else None,
    )
    out = workspace.stage("validation")
    page = workspace.reports / "validation.html"
    summary = validate(sources, params.validation, out=out, report=page)
    failed = [f"{result.check.code} {result.check.sentence}" for result in summary.results if result.status == "failed"]
    return _told(
        out,
        StageReport(
            metrics=summary.metrics,
            facts={"warnings": "; ".join(failed) or "none", "dataset_digest": digest_tree(out, "*.parquet")},
            pictures=("report.html",),
        ),
    )


def synthesis(workspace: Workspace, raw: Mapping[str, Any]) -> StageReport:
    """Clean catalogue and backgrounds in; labelled images with masks, boxes and provenance out."""
    from components.synthesis.generation import synthesise
    from components.synthesis.picture.contact_sheet import draw_contact_sheet

    params = _params(raw)
    validated = workspace.stage("validation")
    out = workspace.stage("synthesis")
    summary = synthesise(
        validated / "catalog",
        validated / "backgrounds",
        params.synthesis,
        out=out,
        seed=params.seed,
        cache=workspace.cache,
    )
    draw_contact_sheet(out, out / "contact_sheet.png")
    metrics = {
        "num_images": float(summary.num_images),
        "num_doubtful": float(sum(item.used for item in summary.doubtful)),
        "num_left_out": float(sum(not item.used for item in summary.doubtful)),
        **{f"num_{generator}": float(number) for generator, number in summary.num_by_generator.items()},
    }
    sheets = ["contact_sheet.png", *([summary.doubts_path.name] if summary.doubts_path is not None else [])]
    return _told(
        out,
        StageReport(
            metrics=metrics,
            facts={**summary.findings, "synthesis_recipe": summary.recipe},
            # recipe.json names every asset; kept with the run, it answers later what an asset has touched
            pictures=(*sheets, "recipe.json"),
        ),
    )


def training(workspace: Workspace, raw: Mapping[str, Any]) -> StageReport:
    """Train and search photos and synthetic images in; one model a candidate out, and the family's finalists."""
    from components.training.training import TrainingInputs, train
    from components.workloads.classification.family_search import FamilySummary, search_family

    params = _params(raw)
    validated = workspace.stage("validation")
    out = workspace.stage("training")
    inputs = TrainingInputs(
        train=validated / "photos" / "train",
        search=validated / "photos" / "search",
        synthetic=workspace.stage("synthesis"),
        classes=tuple(json.loads((validated / "classes.json").read_text(encoding="utf-8"))),
        champion=champion_folder(workspace),
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


def selection(workspace: Workspace, raw: Mapping[str, Any]) -> StageReport:
    """Candidates and champion in; a decision each, and the winner's name, out."""
    from components.workloads.rails.selection import gate

    params = _params(raw)
    out = workspace.stage("selection")
    with atomic_directory(out) as partial:
        report = gate(workspace, params, champion=champion_folder(workspace), out=partial)
        write_report(partial, report)
    return report


def packaging(workspace: Workspace, raw: Mapping[str, Any]) -> StageReport:
    """The winner in; a Bento that answers as it was evaluated out, and one for each target that is to be served."""
    from components.workloads.rails.packaging import package_winners

    return _told(workspace.stage("packaging"), package_winners(workspace, _params(raw)))


def _params(raw: Mapping[str, Any]) -> Params:
    return parse_section(Params, raw, where="params.yaml")


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


WORKLOAD = Workload(
    name="products",
    summary="which of a catalogue's products is on a photo",
    stages={
        "validation": validation,
        "synthesis": synthesis,
        "training": training,
        "selection": selection,
        "packaging": packaging,
    },
)

"""Products: which of a catalogue's products is on a customer's photo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from components.core.workloads import Source, Step, Workload
from components.core.workspace import Workspace
from components.workloads.classification.incumbents import take_in_incumbent
from components.workloads.classification.judging import judge
from components.workloads.classification.params import ClassificationParams
from components.workloads.classification.recording import compare, record
from components.workloads.classification.rules import rules
from components.workloads.classification.service import SERVICE
from components.workloads.classification.stages.synthesis import synthesis
from components.workloads.classification.stages.training import training
from components.workloads.rails.stages.packaging import PACKAGING
from components.workloads.rails.stages.selection import SELECTION
from components.workloads.rails.stages.validation import validation_step

CATALOG = Source(
    name="catalog",
    summary="product pictures and 3D models, a sub-folder a class",
    rows="catalog",
    required=True,
    min_labels=2,
    models=True,
)
PHOTOS = Source(name="photos", summary="customers' photos, a sub-folder a class", rows="photo")
BACKGROUNDS = Source(name="backgrounds", summary="any photos without the products", rows="background", labelled=False)


def check_sources(workspace: Workspace) -> Sequence[str]:
    """Warnings about photos and catalogue together; DataError for photos of a class that the catalogue lacks."""
    from components.core import manifest
    from components.datasets.sources import check_classes

    if not manifest.count(workspace.source("photos")):
        return ()
    without = check_classes(workspace.source("catalog"), workspace.source("photos"))
    return (f"no photos of {', '.join(without)}: learned from synthetic images alone",) if without else ()


WORKLOAD = Workload(
    name="products",
    summary="which of a catalogue's products is on a photo",
    params=ClassificationParams,
    sources=(CATALOG, PHOTOS, BACKGROUNDS),
    stages={
        "validation": validation_step("catalog", "photos", "backgrounds"),
        "synthesis": Step(
            run=synthesis, sections=("seed", "synthesis"), reads=("validation/catalog", "validation/backgrounds")
        ),
        "training": Step(
            run=training,
            sections=("seed", "training", "selection.targets"),
            reads=(
                "baseline",
                "synthesis",
                "validation/classes.json",
                "validation/photos/train",
                "validation/photos/search",
            ),
        ),
        "selection": SELECTION,
        "packaging": PACKAGING,
    },
    judge=judge,
    service=SERVICE,
    record=record,
    compare=compare,
    rules=rules,
    check_sources=check_sources,
    take_in=take_in_incumbent,
    starting_params=Path(__file__).with_name("params.yaml"),
)

"""Pairs: are these two photos of the same person? Each function named here is a page of its own."""

from pydantic import Field

from components.core.workloads import Service, Source, Step, Workload
from components.workloads.rails.params import Params
from components.workloads.rails.stages.packaging import PACKAGING
from components.workloads.rails.stages.selection import SELECTION
from components.workloads.rails.stages.validation import validation_step
from detent_pairs.answers import compare, judge, record
from detent_pairs.questions import rules
from detent_pairs.training import Recipe, training


class PairsParams(Params):
    """The whole of params.yaml: the platform's sections, and a recipe a candidate."""

    training: dict[str, Recipe] = Field(default_factory=lambda: {"plain": Recipe()})


SEARCHED = ("validation/photos/train", "validation/photos/search", "validation/samples/search.parquet")
WORKLOAD = Workload(
    name="pairs",
    summary="are these two photos of the same person",
    params=PairsParams,
    sources=(Source(name="photos", summary="photos of people, a sub-folder a person", rows="photo", required=True),),
    stages={
        "validation": validation_step("photos"),
        "training": Step(run=training, sections=("seed", "training"), reads=SEARCHED),
        "selection": SELECTION,
        "packaging": PACKAGING,
    },
    judge=judge,
    service=Service(
        application="detent_pairs.endpoint:build_application",
        endpoint="POST /verify",
        description="Are two photos of one person? POST /verify with files a and b.",
        packages=("numpy", "pillow", "python-multipart", "safetensors"),
    ),
    record=record,
    compare=compare,
    rules=rules,
)

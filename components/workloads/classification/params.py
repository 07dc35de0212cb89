"""params.yaml of a workload that names what is on a picture: the platform's sections, synthesis and training."""

from __future__ import annotations

from pydantic import Field, model_validator

from components.synthesis.config import SynthesisConfig
from components.training.config import TrainingConfig, is_free
from components.workloads.rails.params import Params


class ClassificationParams(Params):
    """The whole of params.yaml."""

    synthesis: SynthesisConfig = SynthesisConfig()
    training: TrainingConfig = Field(default_factory=TrainingConfig)

    @model_validator(mode="after")
    def _check_targets(self) -> ClassificationParams:
        names = [target.name for target in self.selection.targets]
        if names and self.training.family is None:
            raise ValueError("selection.targets are searched for in a family: add training.family, or remove them")
        given = [*self.training.candidates, *names]
        strange = sorted({name for name in names if not is_free(name) or given.count(name) > 1})
        if strange:
            raise ValueError(
                f"selection.targets {strange} are called like a candidate, one another, or what lies beside "
                "candidates; choose other names"
            )
        return self

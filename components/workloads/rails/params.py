"""The whole of params.yaml, typed: one section a stage, each defined beside its owner."""

from __future__ import annotations

from pydantic import Field, model_validator

from components.core.errors import ConfigError
from components.core.params import Section, parse_section, read_params
from components.core.workspace import Workspace
from components.promotion.actors import People
from components.promotion.policy import ApprovalPolicy
from components.selection.gate.policy import Policy
from components.selection.search.targets import Target
from components.synthesis.config import SynthesisConfig
from components.training.config import TrainingConfig, is_free
from components.validation.config import ValidationConfig


class SelectionConfig(Section):
    """The `selection` section: the release manager's policy."""

    policy: Policy = Policy()
    anchor_version: str | None = Field(None, pattern=r"^\d+$", description="registered version pinned as the anchor")
    targets: tuple[Target, ...] = ()  # devices, each of which gets the best member of training.family within its limits


class PackagingConfig(Section):
    """The `packaging` section."""

    parity_samples: int = Field(64, ge=1, le=10_000)  # images of the search split that the Bento must answer alike


class Params(Section):
    """params.yaml; `workload` and `catalog` together name what there is one champion of."""

    workload: str = Field("products", pattern=r"^[\w-]+$")
    catalog: str = Field("main", pattern=r"^[\w-]+$")
    seed: int = Field(0, ge=0, lt=2**31)
    validation: ValidationConfig = ValidationConfig()
    synthesis: SynthesisConfig = SynthesisConfig()
    training: TrainingConfig = Field(default_factory=TrainingConfig)
    selection: SelectionConfig = SelectionConfig()
    packaging: PackagingConfig = PackagingConfig()
    approval: ApprovalPolicy = ApprovalPolicy()
    people: People = People()

    @model_validator(mode="after")
    def _check_targets(self) -> Params:
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


def load_params(workspace: Workspace) -> Params:
    """Read and check a workspace's params.yaml; ConfigError names what is wrong and what is known."""
    raw = read_params(workspace.params)
    missing = sorted(Params.model_fields.keys() - raw.keys() - {"people"})
    params = parse_section(Params, raw, where=workspace.params.name)
    if missing:
        raise ConfigError(f"{workspace.params.name}: {missing} are missing; add `{missing[0]}: {{}}` for the defaults")
    return params


def check_workload(params: Params, name: str | None) -> None:
    """ConfigError when the command line names another workload than params.yaml."""
    if name is not None and name != params.workload:
        raise ConfigError(
            f"--workload {name}, but params.yaml says workload: {params.workload}; one workspace holds one workload, "
            "so change params.yaml or use another worktree"
        )

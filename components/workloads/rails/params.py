"""The platform's part of params.yaml, typed: each section is defined beside its owner.

A workload adds sections of its own in a subclass, which its `Workload.params` names.
"""

from __future__ import annotations

from pydantic import Field

from components.core.params import Section
from components.promotion.actors import People
from components.promotion.policy import ApprovalPolicy
from components.selection.gate.policy import Policy
from components.selection.search.targets import Target
from components.validation.config import ValidationConfig


class SelectionConfig(Section):
    """The `selection` section: the release manager's policy."""

    policy: Policy = Policy()
    anchor_version: str | None = Field(None, pattern=r"^\d+$", description="registered version pinned as the anchor")
    targets: tuple[Target, ...] = ()  # devices, each of which gets the best certified candidate within its limits


class PackagingConfig(Section):
    """The `packaging` section."""

    parity_samples: int = Field(64, ge=1, le=10_000)  # questions of the search split that the Bento must answer alike


class Params(Section):
    """What every workload has; `workload` and `catalog` together name what there is one champion of."""

    workload: str = Field("products", pattern=r"^[\w-]+$")
    catalog: str = Field("main", pattern=r"^[\w-]+$")
    seed: int = Field(0, ge=0, lt=2**31)
    validation: ValidationConfig = ValidationConfig()
    selection: SelectionConfig = SelectionConfig()
    packaging: PackagingConfig = PackagingConfig()
    approval: ApprovalPolicy = ApprovalPolicy()
    people: People = People()

"""The platform's part of params.yaml, typed: each section is defined beside its owner.

A workload adds sections of its own in a subclass, which its `Workload.params` names.
"""

from __future__ import annotations

from pydantic import Field

from components.core.params import Section
from components.packaging.config import PackagingConfig
from components.promotion.actors import People
from components.promotion.policy import ApprovalPolicy
from components.selection.config import SelectionConfig
from components.validation.config import ValidationConfig


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

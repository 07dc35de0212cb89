"""The written approval policy: who must agree before a candidate may become champion.

It is recorded in full on the proposal's row and applied from there, so that loosening it later does not loosen
what is already proposed. With `auto` the policy itself approves, on record as `policy:NAME`.
"""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from components.core.params import Section

POLICY_ACTOR = "policy:"


class ApprovalPolicy(Section):
    """Section `approval` of params.yaml."""

    name: str = Field(default="default", pattern=r"^[\w.-]+$", description="stands on the record as policy:NAME")
    auto: bool = Field(default=False, description="approve whatever the gate promoted, without a person")
    num_approvers: int = Field(default=1, ge=1, le=5, description="different people who must approve")
    forbid_trainer: bool = Field(default=False, description="who trained the candidate may not approve it")
    expires_after_h: float = Field(default=168.0, gt=0, description="hours until an unpromoted proposal expires")

    @model_validator(mode="after")
    def _check_auto(self) -> Self:
        if self.auto and (self.num_approvers > 1 or self.forbid_trainer):
            raise ValueError("auto approves without a person: drop num_approvers and forbid_trainer, or auto")
        return self

    @property
    def actor(self) -> str:
        """The approver that an automatic approval is recorded under."""
        return POLICY_ACTOR + self.name

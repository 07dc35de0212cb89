"""The `selection` section of params.yaml: the release manager's policy."""

from __future__ import annotations

from pydantic import Field

from components.core.params import Section
from components.selection.gate.policy import Policy
from components.selection.search.targets import Target


class SelectionConfig(Section):
    """Under which policy candidates are gated, and for which devices the best of them are chosen."""

    policy: Policy = Policy()
    anchor_version: str | None = Field(None, pattern=r"^\d+$", description="registered version pinned as the anchor")
    targets: tuple[Target, ...] = ()  # devices, each of which gets the best certified candidate within its limits

"""The `packaging` section of params.yaml."""

from __future__ import annotations

from pydantic import Field

from components.core.params import Section


class PackagingConfig(Section):
    """What a Bento has to prove."""

    parity_samples: int = Field(64, ge=1, le=10_000)  # questions of the search split that the Bento must answer alike

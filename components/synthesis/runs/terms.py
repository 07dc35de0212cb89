"""What all generators of a run go by: size, camera, aims, seed and everybody's settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import Field

from components.core.params import Section
from components.synthesis.picture.aims import Aim
from components.synthesis.picture.camera import CameraConfig

Share = Annotated[float, Field(ge=0, le=1)]


class GeneratorConfig(Section):
    """Base of every generator's settings, `synthesis.generators.NAME` in params.yaml."""

    share: Share = Field(
        1.0,
        description="of the images of a class that those before it in the list have left; the last that can show it "
        "makes the rest, and 0 leaves it out where another can",
    )


C = TypeVar("C", bound=GeneratorConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What is asked of every generator alike, and by generator the settings of those that take part."""

    num_per_class: int
    size_px: int
    camera: CameraConfig
    aims: tuple[Aim, ...]
    seed: int
    sections: Mapping[str, GeneratorConfig]

    def section(self, name: str, kind: type[C]) -> C:
        """The settings of the generator of this name, which are of this kind."""
        found = self.sections[name]
        assert isinstance(found, kind), f"the settings of {name} are {type(found).__name__}, expected {kind.__name__}"
        return found

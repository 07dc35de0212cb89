"""The `synthesis` section of params.yaml: how many images, by which generators, aimed at what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from components.core.params import Section, parse_section
from components.synthesis.generators import find_generator, in_order, standard_names
from components.synthesis.picture.aims import Aims
from components.synthesis.picture.camera import CameraConfig
from components.synthesis.runs.terms import GeneratorConfig, Terms

# where what stood in the section itself, before generators were a list, is written now
MOVED = {
    "pastes": "generators.pastes",
    "renders": "generators.renders",
    "render_share": "generators.renders.share",
    "wrap_share": "generators.wraps.share",
    "wrap_shape": "generators.wraps.shape",
    "wrap_shapes": "generators.wraps.shapes",
}


def _parse_generators(value: Any) -> Any:
    """Each generator's settings by its name, checked by the generator itself; the standard ones are always there."""
    given = {} if value is None else value
    if not isinstance(given, Mapping):
        return given
    return {name: _parse_generator(name, given.get(name)) for name in in_order([*standard_names(), *given])}


def _parse_generator(name: str, value: Any) -> GeneratorConfig:
    generator = find_generator(name)
    return value if isinstance(value, generator.config) else parse_section(generator.config, value, where=name)


Generators = Annotated[dict[str, SerializeAsAny[GeneratorConfig]], BeforeValidator(_parse_generators)]


class SynthesisConfig(Section):
    """Images of each class: renders where it has 3D models, wraps where asked for, pastes for the rest.

    Renders and wraps are rounded up to whole views.
    """

    num_per_class: int = Field(60, ge=1, description="images made for each class")
    size_px: int = Field(128, ge=16, le=1024, description="side of the square images")
    generators: Generators = Field(
        default_factory=lambda: _parse_generators({}), description="settings by generator; naming one puts it to work"
    )
    camera: CameraConfig = CameraConfig()
    aims: Aims = Field((), description="what to make on purpose; `detent aim --write` fills it in")

    @model_validator(mode="before")
    @classmethod
    def _read_older(cls, values: Any) -> Any:
        """Workspaces keep the params.yaml that they were made with."""
        return with_moved(values) if isinstance(values, Mapping) else values

    def terms(self, seed: int) -> Terms:
        """What all generators of a run with this seed go by."""
        return Terms(
            num_per_class=self.num_per_class,
            size_px=self.size_px,
            camera=self.camera,
            aims=self.aims,
            seed=seed,
            sections=self.generators,
        )


def with_moved(values: Mapping[str, Any]) -> dict[str, Any]:
    """A section as it was written before generators were a list, in the places where its values stand now.

    ValueError where a value stands in both places.
    """
    moved: dict[str, Any] = {name: value for name, value in values.items() if name not in MOVED}
    for name, where in MOVED.items():
        if name in values:
            place, (*path, last) = moved, where.split(".")
            for part in path:
                place[part] = dict(place.get(part) or {})
                place = place[part]
            if last in place:
                raise ValueError(f"'{name}' stands in synthesis.{where} too: leave out its older place")
            place[last] = dict(values[name]) if isinstance(values[name], Mapping) else values[name]
    return moved

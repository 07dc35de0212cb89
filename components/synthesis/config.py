"""The `synthesis` section of params.yaml: how many images, by which generators, from which ranges."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from components.core.params import Section
from components.synthesis.pastes.config import PastesConfig
from components.synthesis.picture.aims import Aims
from components.synthesis.picture.camera import CameraConfig
from components.synthesis.renders.config import RendersConfig

Share = Annotated[float, Field(ge=0, le=1)]
WrapShape = Literal["auto", "carton", "bottle", "can", "card"]


class SynthesisConfig(Section):
    """Images of each class: renders where it has 3D models, wraps where asked for, pastes for the rest.

    Renders and wraps are rounded up to whole views.
    """

    num_per_class: int = Field(60, ge=1, description="images made for each class")
    size_px: int = Field(128, ge=16, le=1024, description="side of the square images")
    render_share: Share = Field(
        0.5, description="of the images of a class with 3D models and pictures; one without pictures has renders only"
    )
    wrap_share: Share = Field(0.0, description="of the other images: a catalogue picture on a mesh, rendered")
    wrap_shape: WrapShape = Field("auto", description="the mesh; auto guesses it from each picture's outline")
    wrap_shapes: dict[str, WrapShape] = Field(default_factory=dict, description="the mesh of some classes")
    pastes: PastesConfig = PastesConfig()
    renders: RendersConfig = Field(default_factory=RendersConfig)
    camera: CameraConfig = CameraConfig()
    aims: Aims = Field((), description="what to make on purpose; `detent aim --write` fills it in")

"""The sections `renders` and `wraps` of `synthesis.generators`: views, lights, and what is wrapped."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from components.synthesis.light.lighting import LightConfig, Range
from components.synthesis.runs.terms import GeneratorConfig, Share

WrapShape = Literal["auto", "carton", "bottle", "can", "card"]

_BOUNDS: dict[str, Range] = {
    "azimuth_deg": (-180, 180),
    "elevation_deg": (-30, 89),
    "distance_ratio": (1.5, 100),
    "scale": (0.2, 3),
    "background_zoom": (0.1, 1),
}


class RendersConfig(GeneratorConfig):
    """Ranges for photos of one object in a home, hand-held and seen from any side."""

    share: Share = Field(
        0.5, description="of the images of a class with 3D models and pictures; one without pictures has renders only"
    )
    views_per_model: int = Field(24, ge=1, le=10_000, description="views that are path-traced, once each")
    lights_per_view: int = Field(32, ge=1, le=4096, description="images made of each view, by relighting")
    num_paths: int = Field(384, ge=1, le=3072, description="paths traced for each pixel of a view")
    azimuth_deg: Range = Field((-180.0, 180.0), description="where the camera stands around the object, 0 in front")
    elevation_deg: Range = Field((4.0, 55.0), description="how high the camera stands above the object's middle")
    distance_ratio: Range = Field((2.5, 9.0), description="distance of the camera, in radii of the object")
    roll_deg: float = Field(6.0, ge=0, le=180, description="largest turn of the object in the picture")
    scale: Range = Field((0.4, 1.05), description="longer side of the object, as share of the frame")
    offset: float = Field(0.12, ge=0, le=0.6, description="largest shift out of the middle of an object that fills it")
    occlusion_probability: Share = Field(0.3, description="how often something covers part of the object")
    most_hidden: float = Field(0.5, ge=0.05, le=0.9, description="largest share of the object that is covered")
    background_zoom: Range = Field((0.55, 1.0), description="side of the crop, as share of the photo's short side")
    background_blur: float = Field(2.5, ge=0, le=12, description="largest blur of a background, in a frame of 128 px")
    background_blur_probability: Share = Field(0.35, description="how often the background is out of focus")
    lights: LightConfig = Field(default_factory=LightConfig, description="what light falls on the object")

    @model_validator(mode="after")
    def _check_ranges(self) -> RendersConfig:
        for name, (low, high) in _BOUNDS.items():
            start, stop = getattr(self, name)
            if not low <= start <= stop <= high:
                raise ValueError(f"{name} must rise and lie within [{low}, {high}], got [{start}, {stop}]")
        return self


class WrapsConfig(GeneratorConfig):
    """Catalogue pictures on a mesh, rendered as the section `renders` says; off by default."""

    share: Share = Field(0.0, description="of the images that renders leave; pastes make the others")
    shape: WrapShape = Field("auto", description="the mesh; auto guesses it from each picture's outline")
    shapes: dict[str, WrapShape] = Field(default_factory=dict, description="the mesh of some classes")

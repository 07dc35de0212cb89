"""The `synthesis` section of params.yaml: how many images to paste together, and from which ranges."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from components.core.params import Section

Share = Annotated[float, Field(ge=0, le=1)]


class SynthesisConfig(Section):
    """Ranges for phone photos in homes and shops: products fill the frame, lie in heaps, stand in rows."""

    num_per_class: int = Field(60, ge=1, description="images made for each class")
    size_px: int = Field(128, ge=16, le=1024, description="side of the square images")
    scale: tuple[float, float] = Field((0.45, 1.2), description="longer side of a product, as share of the frame")
    rotation_deg: float = Field(25.0, ge=0, le=180, description="largest turn of a single product in the picture")
    perspective: float = Field(0.15, ge=0, le=0.4, description="largest shift of a corner, as share of the product")
    flip_probability: Share = Field(0.25, description="how often a product is mirrored")
    heap_probability: Share = Field(0.3, description="how often the product lies in a heap that fills the frame")
    row_probability: Share = Field(0.15, description="how often the product stands in a row")
    clutter_probability: Share = Field(0.35, description="how often other products stand behind")
    occlusion_probability: Share = Field(0.35, description="how often something covers part of the product")
    light: tuple[float, float] = Field((0.5, 1.35), description="exposure, as factor")
    warmth: float = Field(0.10, ge=0, le=0.5, description="spread of the colour cast, as log factor")
    blur_px: float = Field(1.3, ge=0, le=10, description="largest blur, for a frame of 128 pixels")
    noise: float = Field(0.035, ge=0, le=0.3, description="largest sensor noise, as share of white")
    jpeg_quality: tuple[int, int] = Field((45, 92), description="quality of the JPEG encoding")

    @model_validator(mode="after")
    def _check_ranges(self) -> SynthesisConfig:
        for name, low, high in (("scale", 0.05, 4.0), ("light", 0.05, 4.0), ("jpeg_quality", 10, 100)):
            start, stop = getattr(self, name)
            if not low <= start <= stop <= high:
                raise ValueError(f"{name} must rise and lie within [{low}, {high}], got [{start}, {stop}]")
        if self.heap_probability + self.row_probability > 1:
            raise ValueError("heap_probability and row_probability together must not exceed 1")
        return self

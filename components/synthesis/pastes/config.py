"""The section `synthesis.generators.pastes`: how cut-outs are arranged, covered and fitted to backgrounds."""

from __future__ import annotations

from pydantic import Field, model_validator

from components.synthesis.runs.terms import GeneratorConfig, Share

Range = tuple[float, float]

_BOUNDS = {"scale": (0.05, 4.0), "pile_size": (2, 400), "shadow": (0.0, 1.0), "view_m": (0.01, 100.0)}


class PastesConfig(GeneratorConfig):
    """Ranges for phone photos in homes and shops: products fill the frame, lie in heaps, stand in rows, are held."""

    scale: Range = Field((0.5, 1.15), description="longer side of a lone product, as share of the frame")
    view_m: Range = Field((0.15, 0.6), description="width of what the frame shows, for products of known f_height_m")
    rotation_deg: float = Field(25.0, ge=0, le=180, description="largest turn of a lone product in the picture")
    perspective: float = Field(0.15, ge=0, le=0.4, description="largest keystone, as share of the product")
    flip_probability: Share = Field(0.25, description="how often a product is mirrored; boxes, with their text, never")
    heap_probability: Share = Field(0.3, description="how often products lie in a heap that fills the frame")
    row_probability: Share = Field(0.15, description="how often products stand in rows")
    held_probability: Share = Field(0.2, description="how often a lone product is held in a hand")
    by_shape: bool = Field(True, description="rows and hands are likelier for boxes, heaps for all else")
    pile_size: tuple[int, int] = Field((2, 60), description="copies in a frame, in heaps and rows")
    clutter_probability: Share = Field(0.55, description="how often other products stand or lie behind")
    occlusion_probability: Share = Field(0.3, description="how often something covers part of the product")
    edge_probability: Share = Field(0.3, description="how often edges are softened to blend in")
    harmonise: Share = Field(0.6, description="largest strength of fitting light and colour to the background")
    shadow: Range = Field((0.35, 0.9), description="darkness of contact shadows")
    objects: bool = Field(False, description="a mask, box and label of each product that shows, in the column objects")
    segmenter: str | None = Field(None, description='your own cut-out model, "package.module:function"')

    @model_validator(mode="after")
    def _check_ranges(self) -> PastesConfig:
        for name, (low, high) in _BOUNDS.items():
            start, stop = getattr(self, name)
            if not low <= start <= stop <= high:
                raise ValueError(f"{name} must rise and lie within [{low}, {high}], got [{start}, {stop}]")
        if self.heap_probability + self.row_probability + self.held_probability > 1 + 1e-9:
            raise ValueError("heap_probability, row_probability and held_probability must not exceed 1 together")
        return self

"""What a generator that knows depth can tell of a picture beside its pixels."""

from __future__ import annotations

from dataclasses import dataclass

from components.synthesis.picture.camera import Floats
from components.synthesis.picture.pictures import Pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Exact labels of one picture: what its mask (S, S) uint8 shows, how far away that is and which way it faces.

    `depth` (S, S) is in metres along the optical axis of the view's camera. `normals` (S, S, 3) are unit vectors in
    the axes of the picture: x right, y up, z towards the camera. Both are 0 off the mask and where something covers
    the object.
    """

    mask: Pixels
    depth: Floats
    normals: Floats

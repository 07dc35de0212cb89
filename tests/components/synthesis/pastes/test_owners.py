"""Each product of a scene owns the pixels on which it is the topmost thing, and what covers it takes them away."""

import numpy as np

from components.synthesis.pastes.layers import Look, as_sprite, lay, unlabelled
from components.synthesis.pastes.owners import Owners


def square(side: int, alpha: int = 255) -> np.ndarray:
    return np.full((side, side, 4), alpha, np.uint8)


def test_what_lies_on_top_owns_what_it_covers_by_half() -> None:
    owners, canvas = Owners.of_nothing(40), np.zeros((40, 40, 4), np.uint8)
    lay(canvas, as_sprite(square(20), Look(size_px=40)), 5, 5, owners=owners, label="pear")
    lay(canvas, as_sprite(square(10), Look(size_px=40)), 20, 20, owners=owners, label="plum")
    lay(canvas, as_sprite(square(8, 90), Look(size_px=40)), 6, 6, owners=owners, label="mist")
    lay(canvas, unlabelled(as_sprite(square(4), Look(size_px=40))), 5, 5, owners=owners)
    lay(canvas, as_sprite(square(1), Look(size_px=40)), 38, 0, owners=owners, label="crumb")
    found = {label: int((mask > 0).sum()) for label, mask in owners.objects()}
    assert found == {"pear": 400 - 25 - 16, "plum": 100}, "mist covers nothing by half, a crumb is no object"

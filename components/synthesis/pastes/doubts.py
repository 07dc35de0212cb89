"""Checks masks of cut-outs: which are of no use, and which a person should look at, with the reason."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from components.synthesis.picture.pictures import Pixels

_LEAST_SHARE, _LARGEST_SHARE = 0.03, 0.97
_LEAST_MAIN_SHARE = 0.6  # of the product in its largest piece
_MOST_RAGGED = 1.4  # outline by the outline of the smoothed mask
_LEAST_CONTACT = 0.1  # of a border's length
_MOST_HOLES = 0.12  # of the product's area


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulCutout:
    """A catalogue picture that a person should look at, why, and whether its cut-out is used all the same."""

    sample_id: str
    label: str
    reason: str
    used: bool = False


def unusable(alpha: Pixels) -> str | None:
    """Why coverage (H, W) uint8 cannot be used at all, or None."""
    share = float((alpha > 127).mean())
    if share < _LEAST_SHARE:
        return f"its cut-out is almost empty: {share:.1%} of the picture, at least {_LEAST_SHARE:.0%} expected"
    if share > _LARGEST_SHARE:
        return f"its cut-out fills the picture: {share:.1%}, at most {_LARGEST_SHARE:.0%} expected"
    return None


def doubts(alpha: Pixels) -> tuple[str, ...]:
    """What looks wrong about usable coverage (H, W) uint8, each as part of a sentence; empty when nothing does."""
    solid = (alpha > 127).astype(np.uint8)
    found = [_in_pieces(solid), _ragged(solid), _cut_off(solid), _holed(solid)]
    return tuple(reason for reason in found if reason)


def _in_pieces(solid: Pixels) -> str | None:
    number, _, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    share = float(areas.max() / areas.sum())
    if share >= _LEAST_MAIN_SHARE:
        return None
    return (
        f"it falls into {number - 1} pieces, the largest {share:.0%} of it, at least {_LEAST_MAIN_SHARE:.0%} expected"
    )


def _ragged(solid: Pixels) -> str | None:
    reach = max(3, round(np.sqrt(solid.sum()) / 12)) | 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))
    padded = np.pad(solid, reach)
    smooth = cv2.morphologyEx(cv2.morphologyEx(padded, cv2.MORPH_CLOSE, disc), cv2.MORPH_OPEN, disc)
    rest = _outline(smooth)
    ratio = _outline(padded) / rest if rest else np.inf
    return f"its border is ragged: {ratio:.2f} times its smooth outline" if ratio > _MOST_RAGGED else None


def _outline(solid: Pixels) -> float:
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return float(sum(cv2.arcLength(contour, True) for contour in contours))


def _cut_off(solid: Pixels) -> str | None:
    sides = {"top": solid[0], "bottom": solid[-1], "left": solid[:, 0], "right": solid[:, -1]}
    touched = [name for name, side in sides.items() if side.mean() > _LEAST_CONTACT]
    return (
        f"it touches the {', '.join(touched)} of the picture, two sides at most expected" if len(touched) > 2 else None
    )


def _holed(solid: Pixels) -> str | None:
    field = np.pad(1 - solid, 1, constant_values=1)
    cv2.floodFill(field, None, (0, 0), 2)
    share = float((field == 1).sum() / solid.sum())
    return (
        f"it has holes of {share:.0%} of its area, at most {_MOST_HOLES:.0%} expected" if share > _MOST_HOLES else None
    )

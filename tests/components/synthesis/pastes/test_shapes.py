"""Boxes, long things and round things are told apart, whichever way they lie."""

import cv2
import numpy as np
import pytest

from components.synthesis.pastes.shapes import Shape, measure


def drawn(size: tuple[int, int], turn: float, *, ellipse: bool = False) -> np.ndarray:
    mask, middle = np.zeros((200, 200), np.uint8), (100.0, 100.0)
    if ellipse:
        return cv2.ellipse(mask, (middle, size, turn), 255, -1)
    return cv2.fillConvexPoly(mask, cv2.boxPoints((middle, size, turn)).astype(np.int32), 255)


@pytest.mark.parametrize(
    ("size", "turn", "is_box"), [((60, 150), 0, True), ((60, 150), 40, False), ((150, 60), 0, False)]
)
def test_a_box_stands_upright(size, turn, is_box):
    assert measure(drawn(size, turn)).is_box == is_box


@pytest.mark.parametrize("turn", [0, 30, 90, 135])
def test_the_axis_is_the_way_that_the_length_points(turn):
    shape = measure(drawn((160, 30), turn, ellipse=True))
    assert shape.is_long and not shape.is_box
    assert shape.elongation == pytest.approx(160 / 30, rel=0.1)
    assert min(abs(shape.axis_deg - turn), 180 - abs(shape.axis_deg - turn)) < 3


def test_round_things_are_neither():
    shape = measure(drawn((100, 90), 20, ellipse=True))
    assert not shape.is_box and not shape.is_long


def test_nothing_has_a_shape_too():
    assert measure(np.zeros((9, 9), np.uint8)) == Shape()
    assert np.isfinite(measure(np.full((1, 1), 255, np.uint8)).elongation)

"""Every built-in class builds, in the shop's taste and the customers', and varies."""

import numpy as np
import pytest

from components.core.errors import ConfigError
from components.synthesis.builtin.classes import CLASSES, build, known_classes
from components.synthesis.builtin.looks import Look


@pytest.mark.parametrize("label", CLASSES)
def test_variants_fit_the_unit_ball_and_differ(label):
    shapes = set()
    for seed in range(8):
        parts = build(label, Look(rng=np.random.default_rng(seed), taste="customer" if seed % 2 else "shop"))
        points = np.concatenate([part.vertices for part in parts])
        assert np.isfinite(points).all()
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1.0, abs=1e-3)
        shapes.add((len(points), round(float(np.ptp(points[:, 0])), 4)))
    assert len(shapes) >= 6


def test_the_same_numbers_build_the_same_thing():
    one, two = (build("chair", Look(rng=np.random.default_rng(4), taste="shop")) for _ in range(2))
    assert all((a.vertices == b.vertices).all() and a.finish == b.finish for a, b in zip(one, two, strict=True))


def test_there_are_enough_classes_to_confuse():
    assert len(CLASSES) >= 16
    assert list(CLASSES) == sorted(CLASSES)


def test_unknown_classes_are_named():
    with pytest.raises(ConfigError, match="spoon"):
        known_classes(["chair", "spoon"])
    with pytest.raises(ConfigError, match="choose among"):
        known_classes([])
    assert known_classes(None) == list(CLASSES)

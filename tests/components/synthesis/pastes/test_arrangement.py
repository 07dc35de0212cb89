"""Arrangements come as often as configured, and every copy can be seen at least in part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.synthesis.config import SynthesisConfig
from components.synthesis.pastes.arrangement import arrange


@given(st.floats(0.05, 20), st.integers(0, 2**32 - 1))
def test_a_single_product_is_near_the_middle_and_within_the_ranges(aspect, seed):
    config = SynthesisConfig(heap_probability=0, row_probability=0, scale=(0.4, 0.9))
    kind, (placement,) = arrange(config, aspect, np.random.default_rng(seed))
    assert kind == "single"
    assert 0.4 <= placement.scale <= 0.9
    assert abs(placement.rotation_deg) <= config.rotation_deg
    assert all(0 <= c <= 1 for c in placement.centre)


@given(st.floats(0.05, 20), st.integers(0, 2**32 - 1))
def test_rows_and_heaps_have_several_copies(aspect, seed):
    for config in (
        SynthesisConfig(heap_probability=1, row_probability=0),
        SynthesisConfig(heap_probability=0, row_probability=1),
    ):
        _, placements = arrange(config, aspect, np.random.default_rng(seed))
        assert 2 <= len(placements) <= 25
        assert all(np.isfinite(p.shifts).all() and p.scale > 0 for p in placements)


@pytest.mark.parametrize(("heap", "row"), [(0.0, 0.0), (1.0, 0.0), (0.3, 0.5)])
def test_arrangements_follow_their_probabilities(heap, row):
    config, rng = SynthesisConfig(heap_probability=heap, row_probability=row), np.random.default_rng(0)
    kinds = [arrange(config, 1.0, rng)[0] for _ in range(400)]
    assert kinds.count("heap") / 400 == pytest.approx(heap, abs=0.08)
    assert kinds.count("row") / 400 == pytest.approx(row, abs=0.08)

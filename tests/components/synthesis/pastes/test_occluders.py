"""Occluders cover a part of the frame, never all of it, and are premultiplied."""

import numpy as np
import pytest

from components.synthesis.pastes.occluders import draw_bar, draw_hand


@pytest.mark.parametrize("draw", [draw_hand, draw_bar])
def test_occluders_cover_some_of_the_frame(draw):
    shares = []
    for seed in range(30):
        layer = draw(64, np.random.default_rng(seed))
        assert layer.shape == (64, 64, 4)
        assert (layer[..., :3].max(axis=2) <= layer[..., 3]).all()
        shares.append((layer[..., 3] > 127).mean())
    assert 0.03 < np.mean(shares) < 0.5
    assert max(shares) < 0.8

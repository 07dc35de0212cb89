"""The section refuses ranges that cannot be drawn from and shares that do not add up."""

import pytest

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.synthesis.pastes.config import PastesConfig


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"scale": (1.0, 0.5)}, "scale must rise"),
        ({"scale": (0.0, 0.5)}, "scale must rise"),
        ({"pile_size": (1, 9)}, "pile_size must rise"),
        ({"shadow": (0.5, 1.5)}, "shadow must rise"),
        ({"view_m": (0.6, 0.2)}, "view_m must rise"),
        ({"heap_probability": 0.6, "row_probability": 0.3, "held_probability": 0.2}, "must not exceed 1 together"),
        ({"harmonise": 1.2}, "harmonise"),
        ({"blur_px": 1.0}, "unknown parameter 'blur_px'"),
    ],
)
def test_wrong_values_are_named(wrong, named):
    with pytest.raises(ConfigError, match=named):
        parse_section(PastesConfig, wrong, where="synthesis.pastes")

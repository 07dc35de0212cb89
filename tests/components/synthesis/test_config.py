"""Wrong ranges of the synthesis section are named."""

import pytest

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.synthesis.config import SynthesisConfig


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"pastes": {"scale": [1.2, 0.4]}}, "scale must rise"),
        ({"renders": {"elevation_deg": [0.0, 100.0]}}, "elevation_deg must rise"),
        ({"camera": {"jpeg_quality": [5, 90]}}, "jpeg_quality must rise"),
        ({"pastes": {"heap_probability": 0.7, "row_probability": 0.4}}, "must not exceed 1 together"),
        ({"aims": [{"share": 0.7, "classes": ["a"]}, {"share": 0.7, "classes": ["b"]}]}, "must not exceed 1 together"),
        ({"wrap_shapes": {"milk": "ball"}}, "carton"),
        ({"heap_probability": 0.1}, "unknown parameter 'heap_probability', known here: aims"),
        ({"num_per_class": 0}, "num_per_class"),
        ({"size": 64}, "unknown parameter 'size'"),
    ],
)
def test_wrong_values_are_named(section, named):
    with pytest.raises(ConfigError, match=named):
        parse_section(SynthesisConfig, section, where="synthesis")


def test_the_defaults_are_valid():
    assert parse_section(SynthesisConfig, None, where="synthesis") == SynthesisConfig()

"""Settings of renders that make no sense are refused with their bounds."""

import pytest
from pydantic import ValidationError

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.synthesis.renders.config import RendersConfig


@pytest.mark.parametrize("wrong", [{"azimuth_deg": (10, -10)}, {"distance_ratio": (0.5, 3)}, {"scale": (0.4, 9)}])
def test_ranges_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError, match="must rise and lie within"):
        RendersConfig(**wrong)


def test_an_unknown_setting_names_the_known_ones():
    with pytest.raises(ConfigError, match="lights_per_view"):
        parse_section(RendersConfig, {"lights_a_view": 3}, where="synthesis.renders")


def test_nested_lights_are_read_from_a_mapping():
    config = parse_section(RendersConfig, {"lights": {"shares": {"lamp": 1}}}, where="synthesis.renders")
    assert config.lights.shares == {"lamp": 1.0}

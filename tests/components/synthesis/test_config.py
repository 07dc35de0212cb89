"""Wrong ranges of the synthesis section are named."""

import pytest

from components.core.errors import ConfigError
from components.core.params import parse_section
from components.synthesis.config import SynthesisConfig


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"generators": {"pastes": {"scale": [1.2, 0.4]}}}, "pastes: .*scale must rise"),
        ({"generators": {"renders": {"elevation_deg": [0.0, 100.0]}}}, "elevation_deg must rise"),
        ({"camera": {"jpeg_quality": [5, 90]}}, "jpeg_quality must rise"),
        ({"generators": {"pastes": {"heap_probability": 0.7, "row_probability": 0.4}}}, "must not exceed 1 together"),
        ({"aims": [{"share": 0.7, "classes": ["a"]}, {"share": 0.7, "classes": ["b"]}]}, "must not exceed 1 together"),
        ({"generators": {"wraps": {"shapes": {"milk": "ball"}}}}, "carton"),
        ({"generators": {"renders": {"share": 1.5}}}, "share"),
        ({"generators": {"pastes": {"heaps": 1}}}, "pastes: unknown parameter 'heaps', known here: by_shape"),
        ({"generators": {"discs": {}}}, "unknown generator 'discs', known: .*pastes, renders, wraps"),
        ({"generators": ["pastes"]}, "valid dictionary"),
        ({"wrap_share": 1, "generators": {"wraps": {"share": 0}}}, "in synthesis.generators.wraps.share too"),
        ({"pastes": {"heaps": 1}}, "pastes: unknown parameter 'heaps'"),
        ({"heap_probability": 0.1}, "unknown parameter 'heap_probability', known here: aims"),
        ({"num_per_class": 0}, "num_per_class"),
        ({"size": 64}, "unknown parameter 'size'"),
    ],
)
def test_wrong_values_are_named(section, named):
    with pytest.raises(ConfigError, match=named):
        parse_section(SynthesisConfig, section, where="synthesis")


@pytest.mark.parametrize("section", [None, {"generators": None}, {"generators": {"wraps": None}}])
def test_the_defaults_are_valid(section):
    assert parse_section(SynthesisConfig, section, where="synthesis") == SynthesisConfig()


def test_values_of_an_older_layout_find_their_places():
    older = {"size_px": 64, "pastes": {"harmonise": 0.1}, "wrap_share": 0.3, "wrap_shapes": {"milk": "carton"}}
    config = parse_section(SynthesisConfig, older, where="synthesis")
    assert config.size_px == 64
    assert config.generators["pastes"].harmonise == 0.1
    assert (config.generators["wraps"].share, config.generators["wraps"].shapes) == (0.3, {"milk": "carton"})
    assert config.generators["renders"].share == 0.5, "the standard generators are always there"

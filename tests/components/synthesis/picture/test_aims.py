"""Aims take their shares, keep to their classes and ranges, and change nothing where there are none."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import ConfigError
from components.core.params import Section, parse_section
from components.synthesis.picture.aims import (
    Aim,
    Aims,
    aimed_draw,
    aimed_label,
    check_classes,
    check_factors,
    choose_aim,
    fits,
)

STEEP = Aim(share=0.3, ranges={"elevation_deg": (30.0, 40.0)})
MUGS = Aim(share=0.5, classes=("mug", "pan"))


class Holder(Section):
    aims: Aims = ()


def test_each_aim_takes_its_share_and_the_rest_is_unaimed() -> None:
    rng = np.random.default_rng(0)
    drawn = [choose_aim((STEEP, MUGS), rng) for _ in range(20_000)]
    shares = [sum(aim is wanted for aim in drawn) / len(drawn) for wanted in (STEEP, MUGS, None)]
    assert shares == pytest.approx([0.3, 0.5, 0.2], abs=0.015)


@given(seed=st.integers(0, 2**32), shares=st.lists(st.floats(0.01, 0.2), max_size=5))
def test_the_choice_is_a_function_of_the_generator(seed: int, shares: list[float]) -> None:
    aims = [Aim(share=share, classes=(str(place),)) for place, share in enumerate(shares)]
    first, second = (choose_aim(aims, np.random.default_rng(seed)) for _ in range(2))
    assert first is second
    assert first is None or first in aims


def test_without_aims_no_number_is_drawn() -> None:
    rng, untouched = np.random.default_rng(5), np.random.default_rng(5)
    assert choose_aim((), rng) is None
    assert aimed_label(None, "mug", rng) == "mug" and aimed_label(STEEP, "mug", rng) == "mug"
    assert rng.random() == untouched.random()
    plain, aimed = (aimed_draw(None, np.random.default_rng(7)), aimed_draw(MUGS, np.random.default_rng(7)))
    assert plain.uniform("scale", 0.5, 1.0) == aimed.uniform("scale", 0.5, 1.0)


def test_an_aim_with_all_of_the_share_takes_every_image() -> None:
    rng = np.random.default_rng(1)
    assert all(choose_aim([MUGS.model_copy(update={"share": 1.0})], rng) is not None for _ in range(500))


def test_aimed_images_show_its_classes_and_keep_to_its_ranges() -> None:
    rng = np.random.default_rng(2)
    labels = [aimed_label(MUGS, "sofa", rng) for _ in range(200)]
    assert set(labels) == {"mug", "pan"}
    for _ in range(50):
        draw = aimed_draw(STEEP, rng)
        assert 30 <= draw.uniform("elevation_deg", 5, 35) <= 35
        draw.uniform("azimuth_deg", -50, 50)
        assert fits(STEEP, "mug", draw.columns)
    assert not fits(STEEP, "mug", {"f_elevation_deg": 12.0}) and not fits(STEEP, "mug", {})
    assert fits(MUGS, "pan", {}) and not fits(MUGS, "sofa", {})


@pytest.mark.parametrize(
    ("aims", "fault"),
    [
        ([{"share": 0.5}], "aims at nothing"),
        ([{"share": 0, "classes": ["mug"]}], "greater than 0"),
        ([{"share": 0.6, "classes": ["mug"]}, {"share": 0.5, "classes": ["pan"]}], "must not exceed 1 together"),
        ([{"share": 0.5, "ranges": {"scale": [1.0, 0.5]}}], "must rise and be finite"),
        ([{"share": 0.5, "ranges": {"scale": [0.5, float("inf")]}}], "must rise and be finite"),
        ([{"share": 0.5, "ranges": {"f_scale": [0.5, 1.0]}}], "without its prefix: scale"),
        ([{"share": 0.5, "class": ["mug"]}], "class"),
        ([{"share": 0.5, "words": {"light": []}}], "no words are given for light"),
        ([{"share": 0.5, "words": {"f_light": ["sky"]}}], "without its prefix: light"),
        ([{"share": 0.5, "words": {"light": ["sky"]}, "ranges": {"light": [0, 1]}}], "either a number or a word"),
    ],
)
def test_a_wrong_aim_is_named(aims: list[dict[str, object]], fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parse_section(Holder, {"aims": aims}, where="params.yaml")


def test_aims_at_what_cannot_be_made_are_refused() -> None:
    check_classes([MUGS, STEEP], ["mug", "pan", "sofa"])
    with pytest.raises(ConfigError, match=r"\['pan'\].*known classes"):
        check_classes([MUGS], ["mug"])
    check_factors(STEEP, {"f_elevation_deg": 33.0})
    check_factors(None, {})
    with pytest.raises(ConfigError, match=r"no \['elevation_deg'\], it draws the numbers \['scale'\]"):
        check_factors(STEEP, {"f_scale": 1.0, "f_light": "warm"})
    with pytest.raises(ConfigError, match=r"no \['light'\]"):
        check_factors(Aim(share=1, ranges={"light": (0, 1)}), {"f_scale": 1.0, "f_light": "warm"})
    with pytest.raises(ConfigError, match=r"no \['scale'\].*the words \['light'\]"):
        check_factors(Aim(share=1, words={"scale": ("large",)}), {"f_scale": 1.0, "f_light": "warm"})


def test_an_aim_at_words_narrows_them_and_says_what_fits() -> None:
    aim = Aim(share=1, words={"light": ("lamp", "sky")}, ranges={"scale": (0.5, 0.6)})
    rng = np.random.default_rng(0)
    for _ in range(50):
        draw = aimed_draw(aim, rng)
        draw.uniform("scale", 0.1, 1.0)
        draw.choice("light", ["ceiling", "lamp", "window", "sky"])
        assert fits(aim, "mug", draw.columns)
    assert not fits(aim, "mug", {"f_scale": 0.55, "f_light": "ceiling"}) and not fits(aim, "mug", {"f_scale": 0.55})

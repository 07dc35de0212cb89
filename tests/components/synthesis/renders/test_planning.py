"""Plans show every model from drawn sides, fit it into the picture, and give aims their share."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.core.errors import ConfigError, DataError
from components.synthesis.picture.aims import Aim
from components.synthesis.picture.factors import FactorDraw
from components.synthesis.renders.config import RendersConfig
from components.synthesis.renders.planning import Subject, draw_view, plan_views

SUBJECTS = [
    Subject(label=label, digest=label * 8, size_m=size, group=label)
    for label, size in (("chair", (0.5, 0.5, 0.9)), ("table", (1.5, 0.8, 0.7)), ("lamp", (0.2, 0.2, 1.6)))
]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.tuples(*[st.floats(0.05, 3)] * 3))
def test_the_box_of_an_object_fills_the_picture_but_for_a_margin(seed, size):
    view = draw_view(RendersConfig(), FactorDraw(np.random.default_rng(seed)), size_m=size)
    corners = np.stack(np.meshgrid(*[[-0.5, 0.5]] * 3), axis=-1).reshape(-1, 3) * size
    right, up, forward = view.frame
    depth = view.distance_m + corners @ forward
    half = np.tan(np.radians(view.fov_deg / 2))
    reach = np.abs(np.stack([corners @ right, corners @ up]) / depth / half).max()
    assert reach == pytest.approx(1 / 1.3, rel=1e-6)
    assert view.distance_m > np.linalg.norm(size) / 2


def test_views_are_drawn_within_the_ranges_and_noted():
    config = RendersConfig(azimuth_deg=(-30, 40), elevation_deg=(10, 20), views_per_model=20)
    for planned in plan_views(SUBJECTS, config, seed=3):
        assert -30 <= planned.view.azimuth_deg <= 40 and 10 <= planned.view.elevation_deg <= 20
        assert planned.factors["f_azimuth_deg"] == planned.view.azimuth_deg
        assert planned.factors["f_distance_m"] == pytest.approx(planned.view.distance_m)


def test_every_subject_has_its_views_and_a_plan_is_its_seeds():
    config = RendersConfig(views_per_model=4)
    plan = plan_views(SUBJECTS, config, seed=1)
    assert [item.subject.label for item in plan[:3]] == ["chair", "table", "lamp"]
    assert len(plan) == 12
    assert plan == plan_views(SUBJECTS, config, seed=1) != plan_views(SUBJECTS, config, seed=2)


def test_more_views_keep_the_first_ones():
    few, many = (plan_views(SUBJECTS, RendersConfig(views_per_model=n), seed=1) for n in (2, 5))
    assert many[: len(few)] == few


def test_an_aim_takes_its_share_of_views_and_keeps_to_its_ranges():
    aim = Aim(share=0.4, classes=("lamp",), ranges={"azimuth_deg": (100.0, 120.0)})
    plan = plan_views(SUBJECTS, RendersConfig(views_per_model=80), seed=0, aims=[aim])
    aimed = [item for item in plan if item.aim is not None]
    assert 0.3 < len(aimed) / len(plan) < 0.5
    assert {item.subject.label for item in aimed} == {"lamp"}
    assert all(100 <= item.view.azimuth_deg <= 120 for item in aimed)


def test_plans_that_cannot_be_are_refused():
    with pytest.raises(DataError, match="no models"):
        plan_views([], RendersConfig(), seed=0)
    with pytest.raises(ConfigError, match="sofa"):
        plan_views(SUBJECTS, RendersConfig(), seed=0, aims=[Aim(share=0.5, classes=("sofa",))])

"""The frontier by definition, its area by counting cells, and the picture is one."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.core.errors import DataError
from components.selection.search.frontier import Outcome, pareto_front
from components.selection.search.frontier_picture import Landmarks, Spot, draw_costs, draw_frontier
from tests.benchmarks.flips.areas import hypervolume

WORST = Outcome(accuracy=0.0, flips=1.0)
rates = st.floats(0, 1, allow_nan=False, width=16)
clouds = st.lists(st.tuples(rates, rates), max_size=12)


def outcomes(pairs: list[tuple[float, float]]) -> list[Outcome]:
    return [Outcome(accuracy=accuracy, flips=flips) for accuracy, flips in pairs]


def beats(one: Outcome, other: Outcome) -> bool:
    as_good = one.accuracy >= other.accuracy and one.flips <= other.flips
    return as_good and (one.accuracy, one.flips) != (other.accuracy, other.flips)


@given(clouds)
def test_frontier_is_what_no_other_beats(pairs: list[tuple[float, float]]) -> None:
    points = outcomes(pairs)
    front = pareto_front(points)
    unbeaten = {(point.accuracy, point.flips) for point in points if not any(beats(other, point) for other in points)}
    assert [(points[i].accuracy, points[i].flips) for i in front] == sorted(unbeaten, key=lambda pair: pair[1])


@given(clouds, st.tuples(rates, rates))
def test_hypervolume_by_counting_cells(pairs: list[tuple[float, float]], worst: tuple[float, float]) -> None:
    points, reference = outcomes(pairs), Outcome(accuracy=worst[0], flips=worst[1])
    rows = sorted({worst[0], *(a for a, _ in pairs if a > worst[0])})
    columns = sorted({worst[1], *(f for _, f in pairs if f < worst[1])})
    area = 0.0
    for low, high in itertools.pairwise(rows):
        for left, right in itertools.pairwise(columns):
            area += (high - low) * (right - left) * any(p.accuracy >= high and p.flips <= left for p in points)
    assert hypervolume(points, reference=reference) == pytest.approx(area)


def test_by_hand() -> None:
    points = outcomes([(0.8, 0.2), (0.6, 0.1), (0.5, 0.3)])
    assert pareto_front(points) == [1, 0]
    assert hypervolume(points, reference=Outcome(accuracy=0.5, flips=0.4)) == pytest.approx(0.1 * 0.1 + 0.2 * 0.3)
    assert pareto_front([]) == [] and hypervolume([], reference=WORST) == 0


def test_nan_is_refused() -> None:
    with pytest.raises(DataError, match="NaN"):
        hypervolume([Outcome(accuracy=float("nan"), flips=0.1)], reference=WORST)


def test_picture(tmp_path: Path) -> None:
    from PIL import Image

    spots = [
        Spot(outcome=Outcome(accuracy=0.8, flips=0.02), cost=4.0, name="phone"),
        Spot(outcome=Outcome(accuracy=0.7, flips=0.05), cost=1.0),
    ]
    landmarks = Landmarks(champion_accuracy=0.72, reseed_flips=0.06, flip_limit=0.03)
    draw_frontier(tmp_path / "frontier.png", spots, landmarks)
    with Image.open(tmp_path / "frontier.png") as picture:
        assert picture.width > 800 and np.asarray(picture.convert("L")).std() > 5
    draw_frontier(tmp_path / "one.png", spots[:1], Landmarks(champion_accuracy=0.72))
    with pytest.raises(DataError, match="no model"):
        draw_frontier(tmp_path / "none.png", [], landmarks)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The axes of each figure that would be written; an empty file is."""
    from matplotlib.figure import Figure

    kept: list[Any] = []

    def keeping(self: Figure, path: Path, **options: Any) -> None:
        kept.append(self.axes[0])
        path.touch()

    monkeypatch.setattr(Figure, "savefig", keeping)
    return kept


@pytest.mark.parametrize("accuracies", [(1.0, 0.9), (0.0, 0.02), (1.0, 1.0), (0.0, 0.0), (0.0, 1.0), (0.6, 0.5)])
def test_the_accuracy_axis_holds_every_spot_and_nothing_that_is_no_accuracy(
    tmp_path: Path, drawn: list[Any], accuracies: tuple[float, float]
) -> None:
    spots = [Spot(outcome=Outcome(accuracy=a, flips=0.1), cost=1.0 + i) for i, a in enumerate(accuracies)]
    draw_frontier(tmp_path / "flips.png", spots, Landmarks(champion_accuracy=accuracies[0]))
    draw_costs(tmp_path / "costs.png", spots, title="two models")
    for axes in drawn:
        low, high = axes.get_ylim()
        assert 0 <= low <= 100 * min(accuracies) and 100 * max(accuracies) <= high <= 100 and low < high
    assert len(drawn) == 2


def test_before_the_first_release_the_picture_is_of_accuracy_over_cost(tmp_path: Path, drawn: list[Any]) -> None:
    """The second is dearer than the first and no better, so it is not on the frontier."""
    figures = [(0.7, 1.0), (0.7, 2.0), (0.9, 4.0), (0.8, 3.0)]
    spots = [Spot(outcome=Outcome(accuracy=a, flips=0.0), cost=c, name=str(c)) for a, c in figures]
    draw_costs(tmp_path / "costs.png", spots, title="four models")
    (axes,) = drawn
    rings, dots = (np.asarray(points.get_offsets()).tolist() for points in axes.collections)
    assert rings == [pytest.approx(pair) for pair in [(1.0, 70.0), (3.0, 80.0), (4.0, 90.0)]]
    assert sorted(dots) == [pytest.approx(pair) for pair in [(1.0, 70.0), (2.0, 70.0), (3.0, 80.0), (4.0, 90.0)]]
    assert "multiply-adds" in axes.get_xlabel() and "flips" not in axes.get_xlabel()
    in_order = [pytest.approx((c, 100 * a)) for a, c in sorted(figures, key=lambda pair: str(pair[1]))]
    assert [text.xy for text in axes.texts] == in_order
    assert [text.get_text() for text in axes.texts] == ["1", "2", "3", "4"], "numbered as their names are ordered"
    with pytest.raises(DataError, match="no model"):
        draw_costs(tmp_path / "none.png", [], title="")
